/** What changing a tree's regions works with. @module */
import { statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Means, MeansOfBacking } from '../../relay/means.ts';
import type { NativeRelay } from '../../relay/native-relay.ts';
import { type Durability, Overwriting } from '../../relay/overwriting.ts';
import type { Generation, Tree } from '../../relay/relay.ts';
import type { Catalog } from '../catalog.ts';
import type { Region } from '../region.ts';
import { makeStateFolders, type StatePaths } from '../state-folder.ts';
import type { RegionStates } from '../states.ts';
import type { TreeLock } from '../tree-lock.ts';
import { DirectWrites } from './direct-writes.ts';
import { OldFiles } from './old-files.ts';
import { Predecessor } from './predecessor.ts';
import type { Quota } from './quota.ts';
import { Role } from './role.ts';
import { Room } from './room.ts';
import { temporaryName } from './temporary-name.ts';
import { Turns } from './turns.ts';
import { Underway } from './underway.ts';

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
  /** What overwrites in place do about pages in flight, as a witness has seen it on files of this tree; undefined without one. */
  readonly means: MeansOfBacking | undefined;
  /** The same of one region. */
  meansOf(region: Region): Means;
};

/** What changes need: who knows the bytes, who knows the regions, who comes next, and who is told. */
export type Store = {
  readonly relay: NativeRelay;
  readonly catalog: Catalog;
  readonly states: RegionStates;
  readonly tree: WritableTree;
  readonly quota: Quota;
  readonly old: OldFiles;
  readonly room: Room;
  /** What concerns one name, one after the other. */
  readonly turns: Turns;
  readonly underway: Underway;
  /** Whether it is this process that changes regions. */
  readonly role: Role;
  /** What a process still sends that was here before. */
  readonly predecessor: Predecessor;
  readonly directWrites: DirectWrites;
  readonly overwriting: Overwriting;
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
  tree: Omit<WritableTree, 'means' | 'meansOf'>,
  durability: Durability,
): Store {
  const { relay, states } = parts;
  const predecessor = new Predecessor();
  const old = new OldFiles(relay, tree.paths, states.moves, predecessor);
  return {
    ...parts,
    tree: { ...tree, ...witnessMeans(relay, tree) },
    old,
    room: new Room(parts.catalog.kept, old),
    turns: new Turns(),
    underway: new Underway(),
    role: new Role(),
    predecessor,
    directWrites: new DirectWrites(),
    overwriting: new Overwriting(relay.files, durability),
  };
}

// Files of one tree may have several backings (ext4, `dax=inode`), and links lead to other devices.
function witnessMeans(relay: NativeRelay, { root, paths }: Pick<WritableTree, 'root' | 'paths'>) {
  const means = relay.meansIn(root, join(paths.uploads, temporaryName()));
  const { dev } = statSync(root);
  const isSeen = ({ backing, device }: Generation) => backing === means?.backing && device === dev;
  return { means, meansOf: ({ content }: Region) => (means && isSeen(content.generation) ? means.means : 'wait') };
}
