/** Regions that become longer or shorter. @module */
import { SystemError } from '../../relay/relay.ts';
import type { Region } from '../region.ts';
import { unlessFailed, unlessMissing } from '../unless-failed.ts';
import { type Change, withChange } from './change.ts';
import { behind, cutFirst, cutLater } from './cut.ts';
import { type Asked, lease, type Wanted } from './lease.ts';
import { Refusal, refusalOf } from './refusal.ts';
import type { Store } from './store.ts';

/**
 * Gives a region another size: a shorter one at once, while its file is cut when nobody sends the bytes behind, or a
 * longer one with zeros at its end.
 *
 * @throws Refusal; what `judge` throws
 */
export async function resizeRegion(store: Store, asked: Asked, size: number): Promise<Region> {
  const leased = await lease(store, asked, (region) => wanted(region, size));
  const before = leased.region.content.generation.size;
  try {
    return await withChange(store, asked, leased, (change) => resize(store, change, size));
  } catch (error) {
    store.catalog.letGo(asked.name); // Its file may be longer by now.
    const refusal = refusalOf(error);
    if (size >= before || !(refusal instanceof Refusal) || refusal.code !== 'no-space') throw refusal;
  } finally {
    if (size !== before) cutLater(store, asked.name);
  }
  return cutFirst(store, asked, size); // There is no room to write down that it is shorter.
}

async function resize(store: Store, change: Change, size: number): Promise<Region> {
  const { name, content } = change.region;
  if (size === content.generation.size) return change.region;
  store.quota.checkSize(name, size);
  await change.begin();
  await (size < content.generation.size ? change.resize(size, true) : grow(store, change, size));
  count(store, change.region, size);
  return change.commit();
}

// Bytes that were cut off only in name must be zeros before they are a region's again, so nobody may be sending them.
function wanted(region: Region, size: number): Wanted {
  const { generation } = region.content;
  const isStale = size > generation.size && region.state.limit !== undefined;
  if (isStale) return { ...behind(region, generation.size), needs: 'done' };
  return { offset: Math.min(size, generation.size), length: Number.POSITIVE_INFINITY, needs: 'nothing' };
}

async function grow(store: Store, change: Change, size: number): Promise<void> {
  const { name, content, state } = change.region;
  const { files } = store.relay;
  if (state.limit !== undefined) await files.cut(change.fd, content.generation.size);
  // After a crash in between, what is behind the old size is cut off.
  await change.resize(content.generation.size, true);
  await files.extend(change.fd, size);
  await files.sync(change.fd);
  checkMapping(store, name, size);
  await change.resize(size, false);
}

// The name may be another file's by now, or nobody's.
function count(store: Store, { name, content }: Region, size: number): void {
  const file = unlessFailed(() => store.relay.identify(store.tree, name));
  if (file?.inode === content.generation.inode) store.quota.set(name, size);
}

// A region that can't be mapped could be neither read nor changed again. Errors other than ENOMEM do not tell of room.
function checkMapping(store: Store, name: string, size: number): void {
  try {
    const generation = unlessMissing(() => store.relay.openGeneration(store.tree, name, size));
    if (generation) store.relay.closeGeneration(generation);
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== 'ENOMEM') throw error;
    throw new Refusal('no-space', 'So many bytes can not be mapped here.', error);
  }
}
