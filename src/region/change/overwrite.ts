/** Bytes of a region that are overwritten in place. @module */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { ByteRange } from '../../relay/extent.ts';
import type { Means } from '../../relay/means.ts';
import type { PlannedOverwrite } from '../../relay/overwriting.ts';
import type { Region } from '../region.ts';
import { type Change, withChange } from './change.ts';
import { type Asked, type Leased, lease } from './lease.ts';
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

/** Where the means that suit a region turn out to be none for these pages, it waits until they are done. */
async function overwrite(store: Store, asked: Asked, range: ByteRange, upload: Upload): Promise<Region> {
  const pages = { offset: range.first, length: range.last - range.first + 1 };
  const needsOf = (region: Region) => (meansOf(store, region) === 'wait' ? 'done' : 'accepted');
  const leased = await lease(store, asked, (region) => ({ ...pages, needs: needsOf(region) }));
  const means = meansUnder(store, leased);
  const written = await withChange(store, asked, leased, async (change) => {
    // Under the lease: no reader can get other pages now, and what is in flight stays as it is.
    const looks = leased.needs === 'accepted';
    if (looks && !mayFit(leased.region, pages, means)) return undefined;
    const act = () => write(store, change, { ...pages, means, looks }, upload);
    return means === 'direct' ? store.directWrites.write(inodeOf(leased.region), act) : act();
  });
  if (written) return written;
  const done = await lease(store, asked, () => ({ ...pages, needs: 'done' }));
  const way = { ...pages, means: 'wait', looks: false } as const;
  return assured(await withChange(store, asked, done, (change) => write(store, change, way, upload)));
}

function assured(written: Region | undefined): Region {
  assert(written, 'an overwrite that does not look is not given up');
  return written;
}

function inodeOf({ content }: Region): number {
  return content.generation.inode;
}

function meansOf({ tree, directWrites }: Store, region: Region): Means {
  const means = tree.meansOf(region);
  return means === 'direct' && !directWrites.isAllowed(inodeOf(region)) ? 'wait' : means;
}

// Pages that nobody has are written through the page cache, where those who read them next find them. On tmpfs they are
// punched out all the same: what is cut off by a crash is undone then.
function meansUnder(store: Store, { region, needs }: Leased): Means {
  const means = meansOf(store, region);
  return means === 'direct' && needs === 'done' ? 'wait' : means;
}

/** Whether these pages may be such that they can be written while others are in flight: the shim looks closer. */
function mayFit({ content }: Region, { offset, length }: Bytes, means: Means): boolean {
  const { pageSize, size } = content.generation;
  // A file may be longer than its region, until it is cut.
  return means === 'punch' || (means === 'direct' && Math.ceil((offset + length) / pageSize) * pageSize <= size);
}

type Bytes = { readonly offset: number; readonly length: number };
type Way = Bytes & Pick<PlannedOverwrite, 'means' | 'looks'>;

/** Undefined where it looks, and the pages do not fit after all. */
async function write(store: Store, change: Change, way: Way, upload: Upload): Promise<Region | undefined> {
  await change.begin();
  const { generation } = change.region.content;
  const ended = await store.overwriting.run(generation, planOf(store, change, way, upload));
  if (!ended.error) return change.commit();
  if (way.looks && ended.error.code === 'EBUSY') {
    change.undo();
    return undefined;
  }
  if (!ended.undone) {
    change.abandon();
    const { name } = change.region;
    store.report('an overwrite failed and could not be undone: its pages are kept from readers', { region: name });
  }
  throw ended.error;
}

function planOf(store: Store, { region, fd }: Change, way: Way, { source }: Upload): PlannedOverwrite {
  const { inode, pageSize, size: fileSize } = region.content.generation;
  const place = { to: fd, ...way, pageSize, fileSize };
  const heading = writeHeading({ name: region.name, inode, ...spanOf(place) });
  return { ...place, from: source, note: join(store.tree.paths.uploads, temporaryName() + noteEnding), heading };
}

/** The bytes that an overwrite touches (pr_overwrite_span): its own, or those of whole pages up to the file's end. */
function spanOf({ offset, length, pageSize, fileSize, means }: Omit<PlannedOverwrite, 'from' | 'note' | 'heading'>) {
  if (means === 'wait') return { offset, length };
  const first = offset - (offset % pageSize);
  const end = Math.min(Math.ceil((offset + length) / pageSize) * pageSize, fileSize);
  return { offset: first, length: end - first };
}
