/** The command line of `npm run loadtest`. @module */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { UsageError } from './options.ts';
import type { Profile, Scenario } from './scenarios/scenario.ts';
import { profiles, scenarios } from './scenarios/scenarios.ts';
import type { Target } from './trial/target.ts';

/** What to run. */
export type LoadtestOptions = {
  readonly profile: Profile;
  readonly scenarios: readonly Scenario[];
  /** Undefined: servers of our own. */
  readonly target: Target | undefined;
  readonly peers: readonly string[];
  /** Requests of one load, at most. */
  readonly maxRequests: number;
  /** The whole run, at most. */
  readonly maxMinutes: number;
  readonly settleSeconds: number;
  /** A folder is made in it. */
  readonly out: string;
  /** Where the figures go without what they are made of. */
  readonly saveBaseline: string | undefined;
};

/** Two results to compare. */
export type CompareOptions = { readonly old: string; readonly new: string; readonly threshold: number };

/** What a command line asks for. */
export type Asked =
  | { readonly kind: 'help' }
  | { readonly kind: 'run'; readonly options: LoadtestOptions }
  | { readonly kind: 'compare'; readonly options: CompareOptions };

const texts = [
  ...['url', 'region', 'reference', 'pid', 'token-file', 'profile', 'scenarios', 'peers', 'seconds', 'rounds'],
  ...['max-requests', 'max-minutes', 'settle', 'out', 'save-baseline', 'compare', 'threshold'],
] as const;

/** How to call it. */
export function loadtestUsage(peers: readonly string[]): string {
  return `npm run loadtest -- [--profile ${profiles.map(({ name }) => name).join('|')}] [--scenarios NAME,NAME] [--seconds S] [--rounds N]
                    [--peers ${peers.join(',')} | none]
                    [--url http://HOST:PORT [--region NAME] [--reference PATH] [--pid N] [--token-file PATH] [--allow-remote]]
                    [--max-requests N] [--max-minutes M] [--settle S] [--out FOLDER] [--save-baseline PATH]
npm run loadtest -- --compare OLD.json NEW.json [--threshold 0.25]

${profiles.map(({ name, about }) => `${name}: ${about}`).join('\n')}

${scenarios.map(({ name, about }) => `${name}: ${about}`).join('\n')}`;
}

/** @throws UsageError */
export function parseLoadtestOptions(
  argv: readonly string[],
  known: readonly string[],
  usual: readonly string[],
): Asked {
  const { values, positionals } = parse(argv);
  if (values.help) return { kind: 'help' };
  const text = values as Partial<Record<(typeof texts)[number], string>>;
  if (text.compare !== undefined) return { kind: 'compare', options: compareOptions(text, positionals) };
  if (text.threshold !== undefined) throw new UsageError('--threshold goes with --compare');
  const [surplus] = positionals;
  if (surplus !== undefined) throw new UsageError(`nothing is known of ${surplus}`);
  const isShortened = text.rounds !== undefined || text.seconds !== undefined;
  if (text['save-baseline'] !== undefined && isShortened) {
    throw new UsageError('a baseline is of a whole profile: --rounds and --seconds do not go with --save-baseline');
  }
  const profile = profileOf(text);
  const asked = scenariosOf(text.scenarios?.split(',') ?? profile.scenarios);
  const target = targetOf(text, values['allow-remote'] === true);
  return {
    kind: 'run',
    options: {
      profile,
      scenarios: asked,
      target,
      peers: target ? [] : peersOf(text.peers, profile, known, usual),
      maxRequests: number('max-requests', text['max-requests'] ?? '2000000', 1, 1e9),
      maxMinutes: number('max-minutes', text['max-minutes'] ?? String(longest(profile)), 0.01, 10_000),
      settleSeconds: number('settle', text.settle ?? '10', 0.1, 600),
      out: text.out ?? 'results',
      saveBaseline: text['save-baseline'],
    },
  };
}

function parse(argv: readonly string[]) {
  const strings = Object.fromEntries(texts.map((name) => [name, { type: 'string' }] as const));
  const options = { ...strings, 'allow-remote': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: true });
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function compareOptions(
  text: { compare?: string; threshold?: string },
  positionals: readonly string[],
): CompareOptions {
  const [newer, surplus] = positionals;
  if (newer === undefined || surplus !== undefined)
    throw new UsageError('--compare takes two files: OLD.json NEW.json');
  return { old: text.compare ?? '', new: newer, threshold: number('threshold', text.threshold ?? '0.25', 0, 10) };
}

function profileOf(text: { profile?: string; seconds?: string; rounds?: string }): Profile {
  const profile = profiles.find(({ name }) => name === (text.profile ?? 'quick'));
  if (!profile) throw new UsageError(`--profile must be one of ${profiles.map(({ name }) => name).join(', ')}`);
  const rounds = number('rounds', text.rounds ?? String(profile.rounds), 1, 1000);
  if (!Number.isInteger(rounds)) throw new UsageError('--rounds must be a whole number');
  const roundsAlone = Math.min(rounds, profile.roundsAlone);
  return {
    ...profile,
    rounds,
    roundsAlone,
    seconds: number('seconds', text.seconds ?? String(profile.seconds), 0.1, 3600),
  };
}

function scenariosOf(names: readonly string[]): Scenario[] {
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new UsageError(`${twice} is there twice`);
  return names.map((name) => {
    const scenario = scenarios.find((each) => each.name === name);
    if (!scenario) throw new UsageError(`there is no scenario ${name}`);
    return scenario;
  });
}

function targetOf(text: Partial<Record<(typeof texts)[number], string>>, allowRemote: boolean): Target | undefined {
  const { url, region, reference, pid } = text;
  if (url === undefined) {
    const lonely = (['region', 'reference', 'pid', 'token-file'] as const).find((name) => text[name] !== undefined);
    if (lonely !== undefined || allowRemote) throw new UsageError(`--${lonely ?? 'allow-remote'} goes with --url`);
    return undefined;
  }
  if (text.peers !== undefined) throw new UsageError('peers are servers of this run: with --url there are none');
  if (!URL.canParse(url)) throw new UsageError('--url must be an address such as http://127.0.0.1:8080');
  const token = text['token-file'] === undefined ? undefined : tokenIn(text['token-file']);
  return {
    url,
    region,
    reference,
    allowRemote,
    token,
    pid: pid === undefined ? undefined : number('pid', pid, 1, 2 ** 31),
  };
}

function tokenIn(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim().split('\n')[0] ?? '';
  } catch (cause) {
    throw new UsageError(`--token-file: ${(cause as Error).message}`, { cause });
  }
}

// The service under test always runs; a soak is about it alone.
function peersOf(text: string | undefined, profile: Profile, known: readonly string[], usual: readonly string[]) {
  const [first = ''] = known;
  if (text === 'none') return [first];
  const asked = text?.split(',') ?? (profile.repeatForSeconds === undefined ? usual : []);
  const unknown = asked.find((word) => !known.includes(word));
  if (unknown !== undefined) throw new UsageError(`there is no peer ${unknown}`);
  return known.filter((word, at) => at === 0 || asked.includes(word));
}

function longest({ repeatForSeconds = 0 }: Profile): number {
  return 60 + (repeatForSeconds / 60) * 1.5;
}

function number(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= least && value <= most) return value;
  throw new UsageError(`--${flag} must be a number from ${least} to ${most}`);
}
