import type { RefusedCalls } from './refused.ts';
import { type Backing, type Engine, engines, type PeerKind } from './relay.ts';
import type { Seen, Verdict, Verdicts } from './witness.ts';

/** `auto`, or an engine that is used wherever it is safe. */
export const engineChoices = ['auto', ...engines] as const;
export type EngineChoice = (typeof engineChoices)[number];

/** The engine that a backing is sent by, whether it copies from there, and why it was chosen. */
export type BackingEngine = Chosen & { readonly backing: Backing; readonly copyFree: Verdict };

/** The same with the sources (`--dir`, names of regions) that are on the backing. */
export type EngineOfSources = BackingEngine & { readonly sources: readonly string[] };

/** An engine, why it was chosen, and the one for bodies of `largeFrom` bytes and more. */
export type Chosen = {
  readonly engine: Engine;
  readonly large: Engine;
  readonly largeFrom: number;
  readonly because: string;
};

/** Bytes: from here on `splice`, through a pipe of 256 KiB, takes less than `sendfile`, whose own has 64 KiB. */
const largeFrom = 128 * 1024; // docs/performance.md

// What is taken where no witness could see: the engine that has sent without a copy on every kernel tried. sendfile
// copies on fsdax and does not know hugetlb and devdax (EINVAL).
const expected: Record<Backing, Engine> = {
  pagecache: 'sendfile',
  tmpfs: 'sendfile',
  memfd: 'sendfile',
  hugetlb: 'splice',
  fsdax: 'splice',
  devdax: 'splice',
};

/** Of two that send without a copy, the first is the cheaper one for short bodies (docs/performance.md). */
const copyFreeEngines = ['sendfile', 'splice'] as const;

/**
 * The engine that `choice` means for a backing of which this was seen, leaving the peer aside.
 *
 * @param refused calls that a filter refuses here
 */
export function engineFor(choice: EngineChoice, backing: Backing, seen: Verdicts, refused: RefusedCalls = {}): Chosen {
  const chosen = chooseAllowed(choice, backing, seen);
  const because = whyNot(chosen.engine, backing, refused);
  return because === undefined ? chosen : { engine: 'copy', large: 'copy', largeFrom, because };
}

/** Why an engine can't be used here, whatever was seen of it. */
function whyNot(engine: Engine, backing: Backing, refused: RefusedCalls): string | undefined {
  if (engine !== 'sendfile' && engine !== 'splice') return undefined;
  const { AF_NETLINK: netlink, vmsplice } = refused;
  if (netlink !== undefined) {
    return `AF_NETLINK is refused (${netlink}), so that nobody can tell what a peer has read: every peer gets a copy`;
  }
  const isMapped = backing === 'hugetlb' || backing === 'fsdax' || backing === 'devdax';
  if (engine === 'splice' && isMapped && vmsplice !== undefined) {
    return `vmsplice is refused (${vmsplice}), without which ${backing} can only be copied`;
  }
  return undefined;
}

function chooseAllowed(choice: EngineChoice, backing: Backing, seen: Verdicts): Chosen {
  const unable = choice === 'sendfile' && (backing === 'hugetlb' || backing === 'devdax');
  if (choice !== 'auto' && !unable) return { engine: choice, large: choice, largeFrom, because: 'it was asked for' };
  const { engine, because } = choose(backing, seen);
  const why = unable ? `sendfile can not read ${backing}; ${because}` : because;
  if (engine !== 'sendfile' || seen.splice !== true) return { engine, large: engine, largeFrom, because: why };
  const also = `so was splice, which takes less for ${largeFrom} bytes and more`;
  return { engine, large: 'splice', largeFrom, because: `${why}; ${also}` };
}

/** The engine for a backing, with what was seen of it. */
export function engineForBacking(
  choice: EngineChoice,
  { backing, verdicts }: Seen,
  refused: RefusedCalls = {},
): BackingEngine {
  const chosen = engineFor(choice, backing, verdicts, refused);
  return { backing, ...chosen, copyFree: verdicts[chosen.engine] };
}

function choose(backing: Backing, seen: Verdicts): Pick<Chosen, 'engine' | 'because'> {
  const proven = copyFreeEngines.find((engine) => seen[engine] === true);
  if (proven) return { engine: proven, because: `it was seen to send pages of ${backing} without a copy` };
  const likely = expected[backing];
  if (seen[likely] === null) return { engine: likely, because: `no experiment could be run on ${backing}` };
  return { engine: 'copy', because: `every other engine was seen to copy from ${backing}` };
}

/**
 * The engine for one transmission: a peer whose queue can't be seen gets a copy, for only of a copy, and of zerocopy,
 * whose notices tell, is it known when no later change to the pages can be seen (docs/done.md).
 */
export function engineTowards(engine: Engine, peer: PeerKind): Engine {
  return peer === 'unaskable' && (engine === 'sendfile' || engine === 'splice') ? 'copy' : engine;
}
