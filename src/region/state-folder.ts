/** Where a tree of regions keeps what belongs to it: no region can be called so. @module */
import { closeSync, mkdirSync, openSync, realpathSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, sep } from 'node:path';

/** Relative to the tree. */
export const stateFolder = '.pagerelay';

/** The lock file's path inside the tree. */
export const lockFile = `${stateFolder}/lock`;

/** Where sidecars are, relative to the tree. */
export const sidecarFolder = `${stateFolder}/regions`;

/** Absolute paths. */
export type StatePaths = {
  readonly root: string;
  /** Uploads on their way, and what an overwrite in place would be undone by. */
  readonly uploads: string;
  /** Links to files that have lost their names and whose pages are still in flight. */
  readonly old: string;
};

/** What is where for a tree. */
export function statePaths(tree: string): StatePaths {
  const root = join(tree, stateFolder);
  return { root, uploads: join(root, 'tmp'), old: join(root, 'old') };
}

/**
 * Whether a path of a tree leads to its state folder, or into it, through a link: as `debian/.pagerelay/lock` does
 * where `debian` is a link to `.`.
 */
export function leadsIntoState(tree: string, path: string): boolean {
  try {
    const state = realpathSync.native(join(tree, stateFolder));
    const real = realpathSync.native(join(tree, path));
    return real === state || real.startsWith(state + sep);
  } catch {
    return false; // One of them is not there.
  }
}

/** Makes the folders that writing needs. @throws the file system's error */
export function makeStateFolders(paths: StatePaths): void {
  for (const folder of [paths.root, paths.uploads, paths.old, join(paths.root, 'regions')]) makeFolderSync(folder);
}

/** Makes the lock file where it is missing. Whether it is there. */
export function makeLockFile(tree: string): boolean {
  try {
    makeFolderSync(join(tree, stateFolder));
    closeSync(openSync(join(tree, lockFile), 'a'));
    return true;
  } catch {
    return false; // A tree that can't be written: nobody writes under its readers either.
  }
}

/**
 * Makes a folder in one that is there; not recursively, which Node tries for ever in a deleted directory. Gives whether
 * it was missing.
 *
 * @throws the file system's error
 */
export async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    return isThere(error);
  }
}

function makeFolderSync(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    isThere(error);
  }
}

function isThere(error: unknown): false {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  return false;
}
