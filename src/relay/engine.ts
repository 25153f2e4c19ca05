import type { Backing, Engine, PeerKind } from './relay.ts';

/** `auto`, or an engine that is used wherever it is safe. */
export type EngineChoice = Engine | 'auto';

// The engine that sends without a copy on each backing (reference: docs/engines.md). sendfile copies on fsdax and
// does not know hugetlb and devdax (EINVAL).
const copyFreeEngines: Record<Backing, Engine> = {
  pagecache: 'sendfile',
  tmpfs: 'sendfile',
  memfd: 'sendfile',
  hugetlb: 'splice',
  fsdax: 'splice',
  devdax: 'splice',
};

/** The engine that `choice` means for a backing, leaving the peer aside. */
export function engineFor(choice: EngineChoice, backing: Backing): Engine {
  const wanted = choice === 'auto' ? copyFreeEngines[backing] : choice;
  const unable = wanted === 'sendfile' && (backing === 'hugetlb' || backing === 'devdax');
  return unable ? 'copy' : wanted;
}

/**
 * The engine for one transmission: a peer whose queue can't be seen gets a copy, for only of a copy is it known when
 * no later change to the pages can be seen (docs/done.md).
 */
export function engineTowards(engine: Engine, peer: PeerKind): Engine {
  return peer === 'unaskable' && (engine === 'sendfile' || engine === 'splice') ? 'copy' : engine;
}

/** False where an engine copies; null where nobody has seen yet whether it does. */
export function copyFree(engine: Engine, backing: Backing): false | null {
  const copies = engine === 'copy' || engine === 'stream' || (engine === 'sendfile' && backing === 'fsdax');
  return copies ? false : null;
}
