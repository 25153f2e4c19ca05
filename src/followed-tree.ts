/** The tree of `--dir`, and what becomes of it when its path leads to another one. @module */
import { setTimeout as delay } from 'node:timers/promises';
import type { Catalog } from './region/catalog.ts';
import type { RegionStates } from './region/states.ts';
import type { TreeLock } from './region/tree-lock.ts';
import type { Generation, Relay, Tree } from './relay/relay.ts';

/** How often it is looked whether a tree that was left is still read. */
const pollMilliseconds = 1000;

/** What belongs to a tree, and changes with it. */
export type OfTree = {
  readonly relay: Relay;
  readonly catalog: Catalog;
  /** Undefined where the portable relay serves. */
  readonly lock: TreeLock | undefined;
  /** What is known of the regions of a tree. */
  statesOf(tree: Tree): RegionStates;
  /** Has lanes answer for nothing until it is published again. */
  withdraw(): void;
};

/** Serves what the path of the tree leads to now. @throws SystemError */
export function followTree({ relay, catalog, lock, statesOf, withdraw }: OfTree, dir: string): Tree {
  const before = catalog.tree;
  const next = relay.openTree(dir);
  const left = catalog.moveTo(next, statesOf(next));
  lock?.moveTo(next);
  withdraw();
  if (before) void closeWhenRead(relay, before, left);
  return next;
}

// No page of a tree that was left is taken any more. Its lock goes with it: those who write to it wait for its readers.
async function closeWhenRead(relay: Relay, tree: Tree, generations: readonly Generation['id'][]): Promise<void> {
  do await delay(pollMilliseconds, undefined, { ref: false });
  while (!relay.isClosed && generations.some((id) => relay.isKnown(id)));
  if (!relay.isClosed) relay.closeTree(tree);
}
