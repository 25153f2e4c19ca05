/** Bytes of a region that are overwritten in place. @module */
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteRange } from '../../relay/extent.ts';
import { fileOf } from '../../relay/file-identity.ts';
import { type Overwrite, SystemError } from '../../relay/relay.ts';
import type { Region } from '../region.ts';
import { type Change, withChange } from './change.ts';
import { type Asked, type Leased, type Wanted, whileLeased } from './lease.ts';
import { refusalOf } from './refusal.ts';
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
export async function overwriteRange(store: Store, asked: Asked, range: ByteRange, upload: Upload): Promise<Region> {
  try {
    const region = await overwrite(store, asked, range, upload);
    store.overwrites.done++;
    return region;
  } catch (error) {
    store.overwrites.failed++;
    throw refusalOf(error);
  } finally {
    upload.discard();
  }
}

/**
 * Where pages can be written anew (`fresh`) those that readers have in their queues are not waited for, unless their folios
 * may be larger than a page: in such a one, the hole would be zeros in the queue.
 */
async function overwrite(store: Store, asked: Asked, range: ByteRange, upload: Upload): Promise<Region> {
  const pages = { offset: range.first, length: range.last - range.first + 1 };
  const write = (leased: Leased, fresh: boolean) =>
    withChange(store, leased, asked, (change) => carryOut(store, change, planOf(store, change, pages, fresh, upload)));
  const done = (): Wanted => ({ ...pages, needs: 'done' });
  const accepted = (region: Region): Wanted => ({
    ...pages,
    needs: store.writesFreshPages(region) ? 'accepted' : 'done',
  });
  const region = await whileLeased(store, asked, accepted, async (leased) => {
    if (leased.needs === 'done') return write(leased, store.writesFreshPages(leased.region));
    return (await hasSmallFolios(store, leased.region, pages)) ? write(leased, true) : undefined;
  });
  return region ?? whileLeased(store, asked, done, (leased) => write(leased, false));
}

async function carryOut(store: Store, change: Change, plan: Overwrite): Promise<Region> {
  const ended = await store.relay.files.overwrite(plan);
  if (!ended.error) return change.commit();
  if (ended.undone) {
    change.undo();
  } else {
    change.moveAgain();
    change.abandon();
    const { name } = change.region;
    store.report('an overwrite failed and could not be undone: its pages are kept from readers', { region: name });
  }
  throw ended.error;
}

type Bytes = { readonly offset: number; readonly length: number };

// Under the lease: no reader can get other pages now, and what is in flight stays as it is.
async function hasSmallFolios(store: Store, region: Region, { offset, length }: Bytes): Promise<boolean> {
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

function planOf(store: Store, { region, fd }: Change, pages: Bytes, fresh: boolean, { source }: Upload): Overwrite {
  const { inode, pageSize, size: fileSize } = region.content.generation;
  const place = { to: fd, ...pages, pageSize, fileSize, fresh };
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
