/** Bytes of a region that are overwritten in place. @module */
import { join } from 'node:path';
import type { ByteRange } from '../../relay/extent.ts';
import type { Means } from '../../relay/means.ts';
import type { PlannedOverwrite } from '../../relay/overwriting.ts';
import type { Region } from '../region.ts';
import { type Change, withChange } from './change.ts';
import { inodeOf } from './direct-writes.ts';
import { type Asked, type Leased, lease } from './lease.ts';
import { refusalOf } from './refusal.ts';
import { NotOurs } from './role.ts';
import type { Store } from './store.ts';
import { temporaryName } from './temporary-name.ts';
import { bornAt, canTellBirth, makeLasting, noteEnding, writeHeading } from './undo.ts';
import type { Upload } from './upload.ts';

/**
 * Overwrites a range with what was received, once nobody sends its pages. When this resolves the new bytes
 * are as durable as `--durability` says; the old ones are there when it rejects. The upload is used up, but for `NotOurs`.
 *
 * @throws NotOurs; Refusal; what `judge` throws
 */
export async function overwriteRange(store: Store, asked: Asked, range: ByteRange, upload: Upload): Promise<Region> {
  try {
    const region = await overwrite(store, asked, range, upload);
    store.underway.overwrites.done++;
    upload.discard();
    return region;
  } catch (error) {
    if (error instanceof NotOurs) throw error;
    store.underway.overwrites.failed++;
    upload.discard();
    throw refusalOf(error);
  }
}

/** Where the means that suit a region turn out to be none for these pages, it waits until they are done. */
async function overwrite(store: Store, asked: Asked, range: ByteRange, upload: Upload): Promise<Region> {
  const pages = { offset: range.first, length: range.last - range.first + 1 };
  const needsOf = (region: Region) => (meansOf(store, region) === 'wait' ? 'done' : 'accepted');
  const leased = await lease(store, asked, (region) => ({ ...pages, needs: needsOf(region) }));
  const means = meansUnder(store, leased);
  const written = await withChange(store, asked, leased, async (change) => {
    if (leased.needs === 'accepted') {
      await change.open();
      // Under the lease: no reader can get other pages now, and what is in flight stays as it is.
      if (!(await isFit(store, change, pages, means))) return undefined;
    }
    const act = () => write(store, change, pages, means, upload);
    return means === 'direct' ? store.directWrites.write(inodeOf(leased.region), act) : act();
  });
  if (written) return written;
  const done = await lease(store, asked, () => ({ ...pages, needs: 'done' }));
  return withChange(store, asked, done, (change) => write(store, change, pages, 'wait', upload));
}

function meansOf({ tree, directWrites }: Store, region: Region): Means {
  const means = tree.meansOf(region);
  return means === 'direct' && !directWrites.isAllowed(inodeOf(region)) ? 'wait' : means;
}

// Pages that nobody has are written through the page cache, where those who read them next find them. On tmpfs they are
// punched out all the same: a receiver that has moved its bytes on inside the kernel (splice) keeps the old ones then.
function meansUnder(store: Store, { region, needs }: Leased): Means {
  const means = meansOf(store, region);
  return means === 'direct' && needs === 'done' ? 'wait' : means;
}

/** Whether these pages can be written by means that leave others in flight. In a large folio a hole would be zeros there. */
async function isFit({ relay: { files } }: Store, { fd, region }: Change, { offset, length }: Bytes, means: Means) {
  if (means === 'wait') return false;
  if (means === 'punch') return files.hasSmallFolios(fd, offset, length);
  const { pageSize, size } = region.content.generation;
  // The file may be longer than its region, until it is cut.
  const isWhole = Math.ceil((offset + length) / pageSize) * pageSize <= size;
  return isWhole && files.fitsDirect(fd, offset, length);
}

type Bytes = { readonly offset: number; readonly length: number };

async function write(store: Store, change: Change, pages: Bytes, means: Means, upload: Upload): Promise<Region> {
  await change.begin();
  const { generation } = change.region.content;
  const plan = planOf(store, change, pages, means, upload);
  const ended = await store.overwriting.run(generation, plan);
  if (!ended.error) return change.commit();
  if (!ended.undone) {
    change.abandon();
    const { name } = change.region;
    store.report('an overwrite failed and could not be undone: its pages are kept from readers', { region: name });
    await keepNote(store, plan);
  }
  throw ended.error;
}

async function keepNote(store: Store, { note, heading }: PlannedOverwrite): Promise<void> {
  const { relay, tree } = store;
  try {
    await makeLasting(note, heading);
    await relay.files.syncFolder(tree.paths.uploads);
  } catch (err) {
    store.report('what an overwrite is to be undone by may be lost when the machine is started again', { note, err });
  }
}

function planOf(
  store: Store,
  { region, fd }: Change,
  pages: Bytes,
  means: Means,
  { source }: Upload,
): PlannedOverwrite {
  const { inode, pageSize, size: fileSize } = region.content.generation;
  const place = { to: fd, ...pages, pageSize, fileSize, means };
  const born = canTellBirth(store) ? bornAt(fd) : undefined;
  const heading = writeHeading({ name: region.name, inode, born, ...spanOf(place) });
  return { ...place, from: source, note: join(store.tree.paths.uploads, temporaryName() + noteEnding), heading };
}

/** The bytes that an overwrite touches (pr_overwrite_span): its own, or those of whole pages up to the file's end. */
function spanOf({ offset, length, pageSize, fileSize, means }: Omit<PlannedOverwrite, 'from' | 'note' | 'heading'>) {
  if (means === 'wait') return { offset, length };
  const first = offset - (offset % pageSize);
  const end = Math.min(Math.ceil((offset + length) / pageSize) * pageSize, fileSize);
  return { offset: first, length: end - first };
}
