/** What changing a tree's regions works with. @module */
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
import { temporaryName } from './temporary-name.ts';
import { Turns } from './turns.ts';
import { Underway } from './underway.ts';

const tmpfsMagic = 0x01021994;
const hugetlbfsMagic = 0x958458f6;

/** Someone who reads the log should know of it. */
export type Report = (message: string, details: Record<string, unknown>) => void;

/** The tree that is written to, and what this service shares with others there. */
export type WritableTree = Tree & {
  /** Where it keeps what belongs to no region. */
  readonly paths: StatePaths;
  readonly lock: TreeLock;
  /** @throws Refusal `tree-moved` when its path leads to another one: nothing is changed then */
  check(): void;
  /** Whether an overwrite of this region can leave the pages that are in flight to those who have them. */
  writesFreshPages(region: Region): boolean;
};

/** What changes need: who knows the bytes, who knows the regions, who comes next, and who is told. */
export type Store = {
  readonly relay: NativeRelay;
  readonly catalog: Catalog;
  readonly states: RegionStates;
  readonly tree: WritableTree;
  readonly quota: Quota;
  readonly old: OldFiles;
  /** What concerns one name, one after the other. */
  readonly turns: Turns;
  readonly underway: Underway;
  readonly report: Report;
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
  parts: Pick<Store, 'relay' | 'catalog' | 'states' | 'quota' | 'report'>,
  tree: Omit<WritableTree, 'writesFreshPages'>,
): Store {
  const writesFreshPages = witnessFreshPages(parts.relay, tree);
  const old = new OldFiles(parts.relay, tree.paths, parts.states.moves);
  return { ...parts, tree: { ...tree, writesFreshPages }, old, turns: new Turns(), underway: new Underway() };
}

function witnessFreshPages(relay: NativeRelay, { root, paths }: Pick<WritableTree, 'root' | 'paths'>) {
  const onTmpfs = statfsSync(root).type === tmpfsMagic;
  const scratch = join(paths.uploads, temporaryName());
  const isWitnessed = onTmpfs && relay.witnessFreshPages(scratch);
  const { dev } = statSync(root);
  return ({ content: { generation } }: Region) =>
    isWitnessed && generation.backing === 'tmpfs' && generation.device === dev;
}
