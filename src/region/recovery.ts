/** What a start does about what the last run left behind. @module */
import { closeSync, openSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type FileIdentity, SystemError } from '../relay/relay.ts';
import { fileOf } from './in-place.ts';
import { cutLater } from './resize.ts';
import { allSidecars, describe, removeUnfinished, type Sidecar, setAside, stateOf } from './sidecar.ts';
import type { Store } from './store.ts';
import { readNote, removeNote } from './undo.ts';

/** Peers of the last run may still read the pages of files without a name; after so long they are gone or never go. */
const fsdaxDelayMilliseconds = 30_000;

/** Undoes overwrites that were cut off, removes uploads that were, and settles what versions regions are at. */
export async function recover(store: Store): Promise<void> {
  await undoOverwrites(store);
  for (const file of await readdir(store.paths.uploads)) await rm(join(store.paths.uploads, file), { force: true });
  await removeUnfinished(store.paths.root);
  for await (const found of allSidecars(store.paths.root)) {
    if ('damaged' in found) await putAside(store, found.damaged, found.cause);
    else await settle(store, found.sidecar);
  }
  await removeOld(store);
}

async function putAside(store: Store, path: string, cause: unknown): Promise<void> {
  store.report('a damaged sidecar is set aside', { path, err: cause });
  await setAside(store.paths.root, path, new Date());
}

async function undoOverwrites(store: Store): Promise<void> {
  for (const file of await readdir(store.paths.uploads)) {
    try {
      const undone = readNote(store.paths.uploads, file);
      if (!undone) continue;
      await writeBack(store, undone);
      removeNote(store.paths.uploads, file, undone.bytes);
    } catch (error) {
      store.report('an overwrite that was cut off could not be undone', { file, err: error });
    }
  }
}

async function writeBack(
  store: Store,
  undone: { name: string; inode: number; offset: number; length: number; bytes: string },
): Promise<void> {
  const from = openSync(undone.bytes, 'r');
  try {
    const to = store.relay.openFile(store.tree, undone.name);
    try {
      if (fileOf(to).inode === undone.inode) await store.relay.files.copy(from, 0, to, undone.offset, undone.length);
      await store.relay.files.sync(to);
    } finally {
      closeSync(to);
    }
  } catch (error) {
    // A region that is gone by now has nothing to be undone.
    if (!(error instanceof SystemError && error.code === 'ENOENT')) throw error;
  } finally {
    closeSync(from);
  }
}

// A run that ended without saying how far it came has left a content that none of its entity-tags stands for.
async function settle(store: Store, sidecar: Sidecar): Promise<void> {
  const { name } = sidecar;
  const file = fileNamed(store, name);
  const description = file && describe(sidecar, file);
  if (!file || !description) {
    await store.states.forget(name, true);
    return;
  }
  if (description.version === undefined || description.run !== undefined) {
    const settled = { ...description, ...stateOf(description) };
    await store.states.settle(name, settled, file, description.cut);
  }
  if (description.cut) cutLater(store, name);
}

function fileNamed(store: Store, name: string): FileIdentity | undefined {
  try {
    return store.relay.identify(store.tree, name);
  } catch (error) {
    if (error instanceof SystemError && ['ENOENT', 'ENOTDIR', 'EINVAL'].includes(error.code)) return undefined;
    throw error;
  }
}

async function removeOld(store: Store): Promise<void> {
  const files = await readdir(store.paths.old);
  if (files.length === 0) return;
  const remove = () => Promise.all(files.map((file) => rm(join(store.paths.old, file), { force: true })));
  if (!(await isOnFsdax(store, files[0] ?? ''))) {
    await remove();
    return;
  }
  setTimeout(() => {
    store.relay.nudge();
    void remove();
  }, fsdaxDelayMilliseconds).unref();
}

async function isOnFsdax(store: Store, file: string): Promise<boolean> {
  const generation = store.relay.openGeneration(undefined, join(store.paths.old, file));
  store.relay.closeGeneration(generation);
  return generation.backing === 'fsdax';
}
