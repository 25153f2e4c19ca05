/** Regions that get their whole content anew, or lose it. @module */
import { randomBytes } from 'node:crypto';
import { lstat, rename, rmdir, unlink } from 'node:fs/promises';
import { fileOf } from '../../relay/file-identity.ts';
import { type FileIdentity, SystemError } from '../../relay/relay.ts';
import type { Region } from '../region.ts';
import { newDescription, stateOf, traitsOf } from '../sidecar.ts';
import { unlessFailed } from '../unless-failed.ts';
import { etagOf } from '../validator.ts';
import { inFolderOf, makeFoldersOf, type Place, removeEmpty, removeEmptyFoldersOf } from './folder.ts';
import { findToChange, type Judged } from './lease.ts';
import type { Kept } from './old-files.ts';
import { Refusal, refusalOf } from './refusal.ts';
import { NotOurs } from './role.ts';
import type { Store } from './store.ts';
import type { FileUpload } from './upload.ts';

/** What new content is identified by, and whether it is that of a new region. */
export type Replaced = { readonly etag: string; readonly created: boolean };

/** Another request makes or removes the folder meanwhile. */
const mostTries = 8;

/**
 * Gives a region the content that was received: a new generation, which is durable before it takes the name. Readers of
 * the old one go on. The upload is used up, but for `NotOurs`.
 *
 * @throws NotOurs; Refusal `name-conflict`, `no-space`; what `judge` throws
 */
export async function replaceRegion(store: Store, asked: Judged, upload: FileUpload, type?: string): Promise<Replaced> {
  const { name } = asked;
  try {
    await store.relay.files.sync(upload.source);
    const take = () => takeName(store, asked, upload, type);
    const takeAlone = () => store.catalog.whileOurs(name, take);
    const replaced = await store.turns.take(name, () => store.role.during(takeAlone));
    upload.close();
    return replaced;
  } catch (error) {
    if (!(error instanceof NotOurs)) upload.discard();
    throw refusalOf(error);
  }
}

async function takeName(store: Store, { name, judge }: Judged, upload: FileUpload, type?: string): Promise<Replaced> {
  store.tree.check();
  const before = store.catalog.findAny(name);
  judge(before);
  const file = before && fileNow(store, before);
  const after = newDescription(fileOf(upload.source), randomBytes(12).toString('hex'), type);
  await store.states.replacing(name, file, after);
  try {
    await takeFrom(store, name, upload, before);
  } catch (error) {
    // Nothing is left of a region that was not made.
    await (file ? store.states.unreplaced(name, file) : store.states.forget(name, true));
    throw error;
  }
  store.quota.set(name, upload.length);
  await store.states.replaced(name, { ...after, ...traitsOf(fileOf(upload.source)) }); // Its name has moved its ctime.
  store.catalog.letGo(name);
  // Opening it could fail, and nothing may fail that has been done.
  return { etag: etagOf(stateOf(after)), created: before === undefined };
}

// A region can be shorter than its file.
function fileNow(store: Store, { name, content }: Region): FileIdentity {
  // One that others have removed can't be exchanged either.
  return unlessFailed(() => store.relay.identify(store.tree, name)) ?? content.generation;
}

// A request that removes the folder, which another one has emptied, may come between.
async function takeFrom(store: Store, name: string, upload: FileUpload, before: Region | undefined): Promise<void> {
  const made: string[] = [];
  for (let tries = 1; ; tries++) {
    try {
      await makeFoldersOf(store, name, made);
      await inFolderOf(store, name, (place) => {
        const give = () => giveName(store, place, upload, before);
        return before ? store.states.moves.during(place.file, give) : give();
      });
      return;
    } catch (error) {
      if (tries < mostTries && (error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      await removeEmpty(store, made.reverse()); // Those that were there before are somebody else's.
      throw error;
    }
  }
}

/** Refuses a name that something else has, before there is an upload. @throws Refusal `name-conflict` */
export async function refuseTaken(store: Store, name: string): Promise<void> {
  try {
    await inFolderOf(store, name, ({ file }) => refuseSpecial(file));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error; // No such folder, or none that can be opened: `replaceRegion` sees.
  }
}

// A region does not replace what others use, such as a FIFO. The kernel itself refuses folders.
async function refuseSpecial(path: string): Promise<void> {
  const file = await lstat(path).catch(() => undefined);
  const isSpecial = file?.isFIFO() || file?.isSocket() || file?.isCharacterDevice() || file?.isBlockDevice();
  if (isSpecial) throw new Refusal('name-conflict', 'A FIFO, a socket or a device has this name.');
}

async function giveName(store: Store, place: Place, upload: FileUpload, before: Region | undefined): Promise<void> {
  await refuseSpecial(place.file);
  const kept = before && (await store.old.keep(place.file));
  try {
    if (!before) await rmdir(place.file).catch(() => {}); // A folder that holds nothing is nobody's region.
    await rename(upload.path, place.file);
  } catch (error) {
    if (kept) await store.old.drop(kept);
    throw error;
  }
  try {
    await store.relay.files.syncFolder(place.folder);
  } catch (error) {
    // Who is told that it failed must find the old content.
    await (kept ? store.old.restore(kept, place.file) : unlink(place.file));
    throw error;
  }
  if (!before || !kept) return;
  store.catalog.letGoOfFile(before);
  // The link that the file was given has moved its ctime: whoever has looked since has closed the region.
  if (kept.generation) store.catalog.keepReplaced(before, kept.generation);
  leave(store, before, kept);
}

// The name has gone from it; its pages go when nobody sends them any more. A version that is kept would be taken for one
// that others have touched if its link went before it: that moves its ctime.
function leave(store: Store, region: Region, kept: Kept): void {
  store.old.letGo(kept, store.catalog.kept?.endOf(region.content.generation));
}

/**
 * Removes a region: its name at once, its pages when nobody sends them. @throws Refusal `region-not-found`; what
 * `judge` throws
 */
export async function removeRegion(store: Store, asked: Judged): Promise<void> {
  const { name } = asked;
  const remove = () => removeInTurn(store, asked);
  await store.turns.take(name, () => store.role.during(remove));
  await removeEmptyFoldersOf(store, name);
}

async function removeInTurn(store: Store, asked: Judged): Promise<void> {
  const { name } = asked;
  const region = findToChange(store, asked);
  await store.catalog.whileOurs(name, async () => {
    const file = fileNow(store, region);
    await store.states.removing(name, file).catch(unlessFull);
    try {
      await inFolderOf(store, name, (place) =>
        store.states.moves.during(place.file, () => removeName(store, place, region)),
      );
    } catch (error) {
      await store.states.unreplaced(name, file);
      throw error;
    }
    await store.states.forget(name, true);
    store.quota.set(name, undefined);
    store.catalog.letGo(name);
  });
}

// Where there is no room to write that down, a crash in the next moment changes the entity-tag, and nothing else.
function unlessFull(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOSPC' && error.code !== 'EDQUOT') throw error;
}

async function removeName(store: Store, place: Place, region: Region): Promise<void> {
  const kept = await store.old.keep(place.file);
  try {
    await unlink(place.file);
    await store.relay.files.syncFolder(place.folder);
  } catch (error) {
    await store.old.restore(kept, place.file).catch(() => {});
    throw error;
  }
  store.catalog.letGoOfFile(region);
  leave(store, region, kept);
}
