/** What a start does about what the last run left behind. @module */
import { closeSync, openSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type FileIdentity, SystemError } from '../../relay/relay.ts';
import {
  allSidecars,
  changedOf,
  DamagedSidecar,
  describe,
  removeUnfinished,
  type Sidecar,
  setAside,
  stateOf,
} from '../sidecar.ts';
import { unlessFailed } from '../unless-failed.ts';
import { cutLater } from './cut.ts';
import { whileNudging } from './old-files.ts';
import type { Store } from './store.ts';
import { syncRegion } from './sync-region.ts';
import { isOf, type Note, noteEnding, readNote } from './undo.ts';

/** Peers of the last run may still read the pages of files without a name; after so long they are gone or never go. */
const fsdaxDelayMilliseconds = 30_000;

/**
 * Removes uploads that were cut off, and settles the versions of regions, which may be read but not changed meanwhile.
 * It can be done again when it fails. @param kept notes of overwrites that could not be undone
 *
 * @throws what the signal is aborted by; the file system's error
 */
export async function recover(store: Store, kept: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
  for (const file of await readdir(store.tree.paths.uploads)) {
    if (!kept.has(file)) await rm(join(store.tree.paths.uploads, file), { force: true, recursive: true });
  }
  await removeUnfinished(store.tree.paths.root);
  await removeOtherNames(store);
  for await (const found of allSidecars(store.tree.paths.root)) {
    signal.throwIfAborted();
    if (found instanceof DamagedSidecar) {
      store.report('a damaged sidecar is set aside', { path: found.path, err: found });
      await setAside(store.tree.paths.root, found.path, new Date());
    } else {
      await settleQuietly(store, found);
    }
  }
  await removeOld(store);
}

/**
 * Undoes overwrites that were cut off. Gives the notes of those that it could not undo, which are for a later start:
 * nobody may read or change their regions.
 */
export async function undoOverwrites(store: Store): Promise<Set<string>> {
  const kept = new Set<string>();
  const isExclusive = store.tree.lock.exclude();
  const files = await readdir(store.tree.paths.uploads);
  for (const file of files.filter((file) => file.endsWith(noteEnding))) {
    const note = readNoteOf(store, file);
    if (note && !(await tryToUndo(store, file, note, isExclusive))) kept.add(file);
  }
  if (isExclusive) store.tree.lock.readmit();
  return kept;
}

// A note gets its name when it is whole, before anything is changed: what is broken was never needed.
function readNoteOf(store: Store, file: string): Note | undefined {
  try {
    return readNote(store.tree.paths.uploads, file);
  } catch (error) {
    store.report('an overwrite that was cut off could not be undone: its note is broken', { file, err: error });
    return undefined;
  }
}

async function tryToUndo(store: Store, file: string, note: Note, isExclusive: boolean): Promise<boolean> {
  const path = join(store.tree.paths.uploads, file);
  try {
    if (!isExclusive) throw new Error('another service holds pages of this tree');
    await writeBack(store, path, note);
    // Durably: a note that came back would undo what is written from now on.
    await rm(path);
    await store.relay.files.syncFolder(store.tree.paths.uploads);
    return true;
  } catch (error) {
    store.report('an overwrite that was cut off could not be undone', { region: note.name, err: error });
    store.states.refuse(note.name);
    return false;
  }
}

async function writeBack(store: Store, path: string, note: Note): Promise<void> {
  const { name, at, offset, length } = note;
  const from = openSync(path, 'r');
  try {
    const to = store.relay.openFile(store.tree, name);
    try {
      if (isOf(store, note, to)) await store.relay.files.copy(from, at, to, offset, length);
      else store.report('an overwrite that was cut off is not undone: others have changed the file', { region: name });
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

// One region that can't be looked at is no reason to serve none.
async function settleQuietly(store: Store, sidecar: Sidecar): Promise<void> {
  try {
    await settle(store, sidecar);
  } catch (error) {
    if (isShortage(error)) throw error; // It is tried again.
    store.report('a region could not be put right, and is served to no one', { region: sidecar.name, err: error });
    store.states.refuse(sidecar.name);
    store.catalog.letGo(sidecar.name);
  }
}

function isShortage(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['EMFILE', 'ENFILE', 'ENOMEM'].includes(String(error.code));
}

// A run that ended without saying how far it came has left content that no entity-tag of it stands for.
async function settle(store: Store, sidecar: Sidecar): Promise<void> {
  const { name } = sidecar;
  if (store.states.isRefused(name)) return;
  const file = fileNamed(store, name);
  const description = file && describe(sidecar, file);
  if (!file || !description) {
    await store.states.forget(name, true);
    return;
  }
  const { version, run, changed } = description;
  if (version === undefined || run !== undefined || changed === undefined || isMoved(store, file, changed)) {
    // Without it, a power cut could leave older bytes that fit what is written down.
    if (version === undefined || run !== undefined) await syncRegion(store, name);
    const settled = { ...description, ...stateOf(description) };
    await store.states.settle(name, settled, file, description.cut);
    store.catalog.letGo(name); // Whoever has read it meanwhile has it by another tag.
  }
  if (description.cut) cutLater(store, name);
}

// This start has moved its ctime, and the next one would not know by whom.
function isMoved(store: Store, file: FileIdentity, changed: string): boolean {
  const before = store.states.moves.asBefore(file);
  return before !== file && changed === changedOf(before);
}

// A replacement that was cut off has given a file a second name, which it loses before its ctime is written down.
async function removeOtherNames(store: Store): Promise<void> {
  for (const file of await readdir(store.tree.paths.old)) {
    const path = join(store.tree.paths.old, file);
    const { nlink } = await lstat(path);
    if (nlink > 1) await store.states.moves.unlinking(path, () => rm(path));
  }
}

const noFile: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EINVAL']);

function fileNamed(store: Store, name: string): FileIdentity | undefined {
  return unlessFailed(() => store.relay.identify(store.tree, name), noFile);
}

async function removeOld(store: Store): Promise<void> {
  const files = await readdir(store.tree.paths.old);
  if (files.length === 0) return;
  const removeOne = async (file: string) => {
    const path = join(store.tree.paths.old, file);
    await store.states.moves.unlinking(path, () => rm(path, { force: true, recursive: true })).catch(() => {});
  };
  if (!isOnFsdax(store, files[0] ?? '')) {
    await Promise.all(files.map(removeOne));
    return;
  }
  // One after the other: where the kernel lets one wait for its peer after all, it has one thread of the pool.
  const remove = async () => {
    for (const file of store.underway.isClosing ? [] : files) await whileNudging(store.relay, () => removeOne(file));
  };
  setTimeout(() => void remove(), fsdaxDelayMilliseconds).unref();
}

// What is no file has no pages that anybody could read.
function isOnFsdax({ relay, tree }: Store, file: string): boolean {
  const generation = unlessFailed(() => relay.openGeneration(undefined, join(tree.paths.old, file)));
  if (generation) relay.closeGeneration(generation);
  return generation?.backing === 'fsdax';
}
