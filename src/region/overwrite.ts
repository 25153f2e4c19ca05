/** Bytes of a region that are overwritten in place. @module */
import type { ByteRange } from '../range/parse.ts';
import type { Overwrite } from '../relay/relay.ts';
import { beginChange, type Change, endChange, leaseRegion, moveAgain, type Patience } from './in-place.ts';
import { refusalOf } from './refusal.ts';
import type { Region } from './region.ts';
import type { Judge } from './replace.ts';
import type { Store } from './store.ts';
import { Undo } from './undo.ts';
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
  const leased = await leaseRegion(
    store,
    name,
    judge,
    (region) => ({ offset: range.first, length, needs: store.writesFreshPages(region) ? 'accepted' : 'done' }),
    patience,
  );
  let change: Change;
  try {
    change = await beginChange(store, leased);
  } catch (error) {
    store.relay.endLease(leased.claim);
    throw error;
  }
  const isWhole = await write(store, change, range.first, length, upload.fd);
  // Bytes that are neither old nor new: nobody may have them, until the next start has put them right.
  if (!isWhole.known) {
    store.report('an overwrite failed and could not be undone: its pages are kept from readers', { region: name });
    throw isWhole.error;
  }
  const region = endChange(store, change);
  if (isWhole.error !== undefined) throw isWhole.error;
  return region;
}

type Written = { readonly known: boolean; readonly error: unknown };

async function write(store: Store, change: Change, offset: number, length: number, from: number): Promise<Written> {
  const { files } = store.relay;
  const { generation } = change.region.content;
  const fresh = store.writesFreshPages(change.region);
  const { pageSize, size: fileSize } = generation;
  const overwrite = { to: change.fd, from, offset, length, pageSize, fileSize, fresh };
  const undone = { name: change.region.name, inode: generation.inode, ...spanOf(overwrite) };
  let undo: Undo;
  try {
    undo = await Undo.keep(files, store.paths, change.fd, undone, fresh);
  } catch (error) {
    return { known: true, error };
  }
  try {
    await files.overwrite(overwrite);
    await files.sync(change.fd);
    await undo.discard();
    return { known: true, error: undefined };
  } catch (error) {
    const known = await undo.restore(change.fd);
    moveAgain(store, change); // Both versions have shown nothing: their pages were leased. But a third one is safe.
    await (known ? undo.discard() : undo.leave());
    return { known, error };
  }
}

/** The bytes that an overwrite touches: with fresh pages, whole pages up to the file's end. */
function spanOf({ offset, length, pageSize, fileSize, fresh }: Overwrite): { offset: number; length: number } {
  if (!fresh) return { offset, length };
  const first = offset - (offset % pageSize);
  const end = Math.min(Math.ceil((offset + length) / pageSize) * pageSize, fileSize);
  return { offset: first, length: end - first };
}
