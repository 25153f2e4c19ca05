/** What changing a tree's regions works with. @module */
import { randomBytes } from 'node:crypto';
import { statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { NativeRelay } from '../../relay/native-relay.ts';
import type { Tree } from '../../relay/relay.ts';
import type { Catalog } from '../catalog.ts';
import type { Region } from '../region.ts';
import { makeStateFolders, type StatePaths } from '../state-folder.ts';
import type { RegionStates } from '../states.ts';
import type { TreeLock } from '../tree-lock.ts';
import { OldFiles } from './old-files.ts';
import type { Quota } from './quota.ts';
import { Turns } from './turns.ts';

const tmpfsMagic = 0x01021994;
const hugetlbfsMagic = 0x958458f6;

/** Someone who reads the log should know of it. */
export type Report = (message: string, details: Record<string, unknown>) => void;

/** A tree whose regions can be changed. */
export type Store = {
  readonly relay: NativeRelay;
  readonly tree: Tree;
  readonly catalog: Catalog;
  readonly states: RegionStates;
  readonly lock: TreeLock;
  readonly paths: StatePaths;
  readonly quota: Quota;
  /** @throws Refusal `tree-moved` when the tree's path leads to another one: nothing is changed then */
  checkTree(): void;
  readonly old: OldFiles;
  /** What concerns one name, one after the other. */
  readonly turns: Turns;
  /** Largest overwrite in place, bytes. */
  readonly maxPartial: number;
  readonly report: Report;
  /** Overwrites in place that ended so. */
  readonly overwrites: { done: number; failed: number };
  /** Changes that are on their way have ended before the store is closed. */
  track<Result>(change: Promise<Result>): Promise<Result>;
  settled(): Promise<void>;
  /** Nothing new is begun. */
  isClosing(): boolean;
  /** Whether an overwrite of this region can leave the pages that are in flight to those who have them. */
  writesFreshPages(region: Region): boolean;
};

/** A tree that can't be written to. */
export class NotWritable extends Error {
  override readonly name = 'NotWritable';
  readonly code = 'ERR_NOT_WRITABLE';
}

/** @throws NotWritable, or the file system's error, when this tree can't be written to */
export function checkWritable(tree: Tree, paths: StatePaths): void {
  if (statfsSync(tree.root).type === hugetlbfsMagic) {
    throw new NotWritable(`${tree.path} is on hugetlbfs, which knows no writing`);
  }
  makeStateFolders(paths);
}

/** Puts a store together. */
export function makeStore(
  parts: Omit<Store, 'old' | 'turns' | 'overwrites' | 'track' | 'settled' | 'isClosing' | 'writesFreshPages'>,
): Store {
  const { relay, tree, paths } = parts;
  const onTmpfs = statfsSync(tree.root).type === tmpfsMagic;
  const fresh = onTmpfs && relay.witnessFreshPages(join(paths.uploads, `witness-${randomBytes(6).toString('hex')}`));
  const { dev } = statSync(tree.root);
  const changes = new Set<Promise<unknown>>();
  let closing = false;
  return {
    ...parts,
    old: new OldFiles(relay, paths, parts.states.moves),
    turns: new Turns(),
    overwrites: { done: 0, failed: 0 },
    async track(change) {
      changes.add(change);
      try {
        return await change;
      } finally {
        changes.delete(change);
      }
    },
    isClosing: () => closing,
    async settled() {
      closing = true;
      await Promise.allSettled(changes);
    },
    writesFreshPages({ content: { generation } }) {
      return fresh && generation.backing === 'tmpfs' && generation.device === dev;
    },
  };
}
