/** Bytes of a region that are overwritten in place. @module */
import { join } from 'node:path';
import type { ByteRange } from '../../relay/extent.ts';
import type { Overwrite } from '../../relay/relay.ts';
import type { Region } from '../region.ts';
import { type Change, withChange } from './change.ts';
import { type Asked, lease } from './lease.ts';
import { refusalOf } from './refusal.ts';
import type { Store } from './store.ts';
import { temporaryName } from './temporary-name.ts';
import { noteEnding, writeHeading } from './undo.ts';
import type { Upload } from './upload.ts';

/**
 * Overwrites a range with what was received, once nobody sends its pages. It is durable when this resolves; the old
 * bytes are there when it rejects. The upload is used up.
 *
 * @throws Refusal; what `judge` throws
 */
export async function overwriteRange(store: Store, asked: Asked, range: ByteRange, upload: Upload): Promise<Region> {
  try {
    const region = await overwrite(store, asked, range, upload);
    store.underway.overwrites.done++;
    return region;
  } catch (error) {
    store.underway.overwrites.failed++;
    throw refusalOf(error);
  } finally {
    upload.discard();
  }
}

/**
 * Pages that can be written anew (`fresh`) need not be done. But in a folio of several pages, a hole would be zeros in
 * the queues of readers: those are waited for.
 */
async function overwrite(store: Store, asked: Asked, range: ByteRange, upload: Upload): Promise<Region> {
  const pages = { offset: range.first, length: range.last - range.first + 1 };
  const needsOf = (region: Region) => (store.tree.writesFreshPages(region) ? 'accepted' : 'done');
  const leased = await lease(store, asked, (region) => ({ ...pages, needs: needsOf(region) }));
  const written = await withChange(store, asked, leased, async (change) => {
    if (leased.needs === 'accepted') {
      await change.open();
      // Under the lease: no reader can get other pages now, and what is in flight stays as it is.
      if (!(await store.relay.files.hasSmallFolios(change.fd, pages.offset, pages.length))) return undefined;
    }
    return write(store, change, pages, store.tree.writesFreshPages(leased.region), upload);
  });
  if (written) return written;
  const done = await lease(store, asked, () => ({ ...pages, needs: 'done' }));
  return withChange(store, asked, done, (change) => write(store, change, pages, false, upload));
}

type Bytes = { readonly offset: number; readonly length: number };

async function write(store: Store, change: Change, pages: Bytes, fresh: boolean, upload: Upload): Promise<Region> {
  await change.begin();
  const ended = await store.relay.files.overwrite(planOf(store, change, pages, fresh, upload));
  if (!ended.error) return change.commit();
  if (!ended.undone) {
    change.abandon();
    const { name } = change.region;
    store.report('an overwrite failed and could not be undone: its pages are kept from readers', { region: name });
  }
  throw ended.error;
}

function planOf(store: Store, { region, fd }: Change, pages: Bytes, fresh: boolean, { source }: Upload): Overwrite {
  const { inode, pageSize, size: fileSize } = region.content.generation;
  const place = { to: fd, ...pages, pageSize, fileSize, fresh };
  const heading = writeHeading({ name: region.name, inode, ...spanOf(place) });
  return { ...place, from: source, note: join(store.tree.paths.uploads, temporaryName() + noteEnding), heading };
}

/** The bytes that an overwrite touches (pr_overwrite_span): with fresh pages, whole pages up to the file's end. */
function spanOf({ offset, length, pageSize, fileSize, fresh }: Omit<Overwrite, 'from' | 'note' | 'heading'>) {
  if (!fresh) return { offset, length };
  const first = offset - (offset % pageSize);
  const end = Math.min(Math.ceil((offset + length) / pageSize) * pageSize, fileSize);
  return { offset: first, length: end - first };
}
