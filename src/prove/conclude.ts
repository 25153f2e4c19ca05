/** What follows from what was seen: which claims are met, and one plain sentence. @module */
import type { EngineChoice } from '../relay/engine.ts';
import type { Engine } from '../relay/relay.ts';
import type { Verdict } from '../relay/witness.ts';
import type { Absent, BackingChoice, Claim, Done } from './result.ts';

/** Choices that are made in order not to copy, and that can be seen on one machine. */
const claiming: readonly EngineChoice[] = ['auto', 'sendfile', 'splice'];

/** When pages are done that an engine has sent. */
export function doneOf(engine: Engine, copyFree: Verdict): Done {
  if (engine === 'zerocopy') return 'notice';
  return copyFree === false ? 'accepted' : 'read by the peer';
}

/**
 * What a configuration claims: `auto`, `sendfile` and `splice` that nothing is copied. `zerocopy` claims that of
 * network cards, which one machine can't show, and `copy` and `stream` claim nothing. Each `--path` claims that it can
 * be tried.
 */
export function claimsOf(
  configured: EngineChoice,
  backings: readonly BackingChoice[],
  absent: readonly Absent[],
): Claim[] {
  const asked = absent.filter(({ asked }) => asked);
  const claims = asked.map(({ backing, why }) => ({ claim: `${backing} can be sent`, met: false, because: why }));
  if (!claiming.includes(configured)) return claims;
  return [...claims, ...backings.map((choice) => copyFreeClaim(configured, choice))];
}

function copyFreeClaim(configured: EngineChoice, { backing, where, engine, copyFree, because }: BackingChoice): Claim {
  const seen = copyFree === null ? 'nobody could see whether it copies' : copyFree ? 'no copy was seen' : 'it copies';
  return {
    claim: `--engine ${configured} sends ${where === backing ? backing : `${backing} (${where})`} without a copy`,
    met: copyFree === true,
    because: `${engine} is used, for ${because}; ${seen}`,
  };
}

/** One sentence: what this machine can do, and which engine will be used. */
export function conclude(backings: readonly BackingChoice[]): string {
  if (backings.length === 0) return 'There is nothing here that pagerelay could send.';
  const parts = ([true, false, null] as const).flatMap((verdict) => {
    const engines = byEngine(backings.filter(({ copyFree }) => copyFree === verdict));
    return engines.length > 0 ? [`${enumerate(engines)}${verdictWords(verdict)}`] : [];
  });
  return `On this machine pagerelay sends ${parts.join('; ')}.`;
}

function verdictWords(verdict: Verdict): string {
  if (verdict === null) return ', and nobody could see whether that copies';
  return verdict ? ' without a copy' : ', copying every byte';
}

function byEngine(backings: readonly BackingChoice[]): string[] {
  const engines = [...new Set(backings.map(({ engine }) => engine))];
  return engines.map((engine) => {
    const names = backings.filter((each) => each.engine === engine).map(({ backing }) => backing);
    return `${enumerate([...new Set(names)])} by ${engine}`;
  });
}

function enumerate(items: readonly string[]): string {
  const last = items.at(-1) ?? '';
  return items.length < 2 ? last : `${items.slice(0, -1).join(', ')} and ${last}`;
}
