/** Bytes of a region that are overwritten in place. @module */
import { join } from 'node:path';
import type { ByteRange } from '../../range/parse.ts';
import type { Overwrite } from '../../relay/relay.ts';
import type { Region } from '../region.ts';
import { beginChange, type Change, endChange, leaseRegion, moveAgain, type Patience } from './in-place.ts';
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
  const leased = await leaseRegion(
    store,
    name,
    judge,
    (region) => ({ offset: range.first, length, needs: store.writesFreshPages(region) ? 'accepted' : 'done' }),
    patience,
  );
  let change: Change;
  try {
    change = await beginChange(store, leased, judge, patience);
  } catch (error) {
    store.relay.endLease(leased.claim);
    throw error;
  }
  const ended = await store.relay.files.overwrite(planOf(store, change, range.first, length, upload));
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

function planOf(store: Store, { region, fd }: Change, offset: number, length: number, { source }: Upload): Overwrite {
  const { inode, pageSize, size: fileSize } = region.content.generation;
  const place = { to: fd, offset, length, pageSize, fileSize, fresh: store.writesFreshPages(region) };
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
