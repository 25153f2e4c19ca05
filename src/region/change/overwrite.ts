/** Bytes of a region that are overwritten in place. @module */
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteRange } from '../../relay/extent.ts';
import { type Needs, type Overwrite, SystemError } from '../../relay/relay.ts';
import type { Region } from '../region.ts';
import {
  beginChange,
  type Change,
  endChange,
  fileOf,
  type Leased,
  leaseRegion,
  moveAgain,
  type Patience,
} from './in-place.ts';
import { refusalOf } from './refusal.ts';
import type { Judge } from './replace.ts';
import type { Store } from './store.ts';
import { temporaryName } from './temporary-name.ts';
import { noteEnding, writeHeading } from './undo.ts';
import type { Upload } from './upload.ts';

/**
 * Overwrites a range with what was received, once nobody sends its pages any more. Durable when this resolves; when it
 * rejects, the old bytes are there. The upload is used up.
 *
 * @throws Refusal; what `judge` throws
 */
export async function overwriteRange(
  store: Store,
  name: string,
  range: ByteRange,
  upload: Upload,
  judge: Judge,
  patience: Patience,
): Promise<Region> {
  try {
    const region = await overwrite(store, name, range, upload, judge, patience);
    store.overwrites.done++;
    return region;
  } catch (error) {
    store.overwrites.failed++;
    throw refusalOf(error);
  } finally {
    upload.discard();
  }
}

async function overwrite(
  store: Store,
  name: string,
  range: ByteRange,
  upload: Upload,
  judge: Judge,
  patience: Patience,
): Promise<Region> {
  const length = range.last - range.first + 1;
  const leased = await leaseRange(store, name, range.first, length, judge, patience);
  let change: Change;
  try {
    change = await beginChange(store, leased, judge, patience);
  } catch (error) {
    store.relay.endLease(leased.claim);
    throw error;
  }
  const ended = await store.relay.files.overwrite(planOf(store, change, range.first, length, leased.fresh, upload));
  if (!ended.error) return endChange(store, change);
  moveAgain(store, change); // Both versions have shown nothing: their pages were leased. But a third one is safe.
  if (ended.undone) {
    endChange(store, change);
  } else {
    // Bytes that are neither old nor new: nobody may have them, until the next start has put them right.
    store.states.leaveOpen(name);
    store.report('an overwrite failed and could not be undone: its pages are kept from readers', { region: name });
  }
  throw ended.error;
}

/**
 * Leases the pages of an overwrite. Where they can be written anew (`fresh`) those that readers have in their queues are
 * not waited for, unless their folios may be larger than a page: in such a one, the hole would be zeros in the queue.
 */
async function leaseRange(
  store: Store,
  name: string,
  offset: number,
  length: number,
  judge: Judge,
  patience: Patience,
): Promise<Leased & { readonly fresh: boolean }> {
  const lease = (needsOf: (region: Region) => Needs) =>
    leaseRegion(store, name, judge, (region) => ({ offset, length, needs: needsOf(region) }), patience);
  const leased = await lease((region) => (store.writesFreshPages(region) ? 'accepted' : 'done'));
  if (leased.needs === 'done') return { ...leased, fresh: store.writesFreshPages(leased.region) };
  try {
    if (await hasSmallFolios(store, leased.region, offset, length)) return { ...leased, fresh: true };
  } catch (error) {
    store.relay.endLease(leased.claim);
    throw error;
  }
  store.relay.endLease(leased.claim);
  return { ...(await lease(() => 'done')), fresh: false };
}

// Under the lease: no reader can get other pages now, and what is in flight stays as it is.
async function hasSmallFolios(store: Store, region: Region, offset: number, length: number): Promise<boolean> {
  const fd = openAny(store, region);
  if (fd === undefined) return false;
  try {
    return await store.relay.files.hasSmallFolios(fd, offset, length);
  } finally {
    closeSync(fd);
  }
}

// Undefined when the name has become another file's, or nobody's.
function openAny(store: Store, { name, content }: Region): number | undefined {
  try {
    const fd = store.relay.openFile(store.tree, name);
    if (fileOf(fd).inode === content.generation.inode) return fd;
    closeSync(fd);
    return undefined;
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}

function planOf(
  store: Store,
  { region, fd }: Change,
  offset: number,
  length: number,
  fresh: boolean,
  { source }: Upload,
): Overwrite {
  const { inode, pageSize, size: fileSize } = region.content.generation;
  const place = { to: fd, offset, length, pageSize, fileSize, fresh };
  const heading = writeHeading({ name: region.name, inode, ...spanOf(place) });
  return { ...place, from: source, note: join(store.paths.uploads, temporaryName() + noteEnding), heading };
}

/** The bytes that an overwrite touches (pr_overwrite_span): with fresh pages, whole pages up to the file's end. */
function spanOf({ offset, length, pageSize, fileSize, fresh }: Omit<Overwrite, 'from' | 'note' | 'heading'>) {
  if (!fresh) return { offset, length };
  const first = offset - (offset % pageSize);
  const end = Math.min(Math.ceil((offset + length) / pageSize) * pageSize, fileSize);
  return { offset: first, length: end - first };
}
