/** Files of a tree by their names, through descriptors of their folders: no link leads a change out of the tree. @module */
import { close } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { SystemError } from '../../relay/relay.ts';
import { leadsIntoState, makeFolder } from '../state-folder.ts';
import type { Store } from './store.ts';

/** A region's file as a path that stays what it is while its folder is open. */
export type Place = { readonly file: string; readonly folder: string };

const pathOf = (fd: number) => `/proc/self/fd/${fd}`;

/**
 * Runs `act` with the folder of a region open. @throws SystemError ENOENT without one; EXDEV for the tree's state
 * folder
 */
export async function inFolderOf<Result>(store: Store, name: string, act: (place: Place) => Promise<Result>) {
  const folder = dirname(name);
  if (leadsIntoState(store.tree.root, folder)) throw new SystemError('EXDEV', folder);
  const fd = store.relay.openFolder(store.tree, folder);
  try {
    return await act({ file: `${pathOf(fd)}/${basename(name)}`, folder: `${pathOf(fd)}/.` });
  } finally {
    close(fd);
  }
}

/**
 * Makes the folders of a name durably, and adds new ones to `made`. @throws SystemError ENOTDIR where a region is in
 * the way
 */
export async function makeFoldersOf(store: Store, name: string, made: string[]): Promise<void> {
  const segments = name.split('/').slice(0, -1);
  for (let depth = 1; depth <= segments.length; depth++) {
    const folder = segments.slice(0, depth).join('/');
    await inFolderOf(store, folder, async (place) => {
      if (!(await makeFolder(place.file))) return;
      await makeDurable(store, place);
      made.push(folder);
    });
  }
  if (segments.length > 0) close(store.relay.openFolder(store.tree, segments.join('/')));
}

// A folder that is not durable is removed: the next request would take it for a durable one.
async function makeDurable(store: Store, { file, folder }: Place): Promise<void> {
  try {
    await store.relay.files.syncFolder(folder);
  } catch (error) {
    await rmdir(file).catch(() => {});
    throw error;
  }
}

/** Removes the folders that a name leaves empty: a folder without regions must not keep a region from being made. */
export async function removeEmptyFoldersOf(store: Store, name: string): Promise<void> {
  const folders: string[] = [];
  for (let folder = dirname(name); folder !== '.'; folder = dirname(folder)) folders.push(folder);
  await removeEmpty(store, folders);
}

/** Removes folders, the innermost first, up to one that is not empty. */
export async function removeEmpty(store: Store, folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    try {
      await inFolderOf(store, folder, ({ file }) => rmdir(file));
    } catch {
      return;
    }
  }
}
