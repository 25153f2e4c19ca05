/** Regions that become longer or shorter. @module */
import { closeSync } from 'node:fs';
import { type Claim, SystemError } from '../../relay/relay.ts';
import { unlessMissing } from '../catalog.ts';
import type { Region } from '../region.ts';
import { cutFirst } from './cut-first.ts';
import { beginChange, type Change, endChange, fileOf, leaseRegion, type Patience, type Wanted } from './in-place.ts';
import { Refusal, refusalOf } from './refusal.ts';
import type { Judge } from './replace.ts';
import type { Store } from './store.ts';

const firstMilliseconds = 20;
const lastMilliseconds = 2000;

/**
 * Gives a region another size. A shorter one is at once; its file is cut when nobody sends the bytes behind its end. A
 * longer one reads as zeros there.
 *
 * @throws Refusal; what `judge` throws
 */
export async function resizeRegion(
  store: Store,
  name: string,
  size: number,
  judge: Judge,
  patience: Patience,
): Promise<Region> {
  const leased = await leaseRegion(store, name, judge, (region) => wanted(region, size), patience);
  const before = leased.region.content.generation.size;
  if (before === size) {
    store.relay.endLease(leased.claim);
    return leased.region;
  }
  let change: Change | undefined;
  try {
    store.quota.checkSize(name, size);
    change = await beginChange(store, leased, judge, patience);
    await (size < before ? shrink(store, change, size) : grow(store, change, size));
  } catch (error) {
    if (change) endResize(store, change, before);
    else store.relay.endLease(leased.claim);
    cutLater(store, name); // The file may be longer by now.
    const refusal = refusalOf(error);
    const isFull = refusal instanceof Refusal && refusal.code === 'no-space';
    if (isFull && size < before) return cutFirst(store, name, size, judge, patience);
    throw refusal;
  }
  count(store, change.region, size);
  const region = endResize(store, change, size);
  if (size < before) cutLater(store, name);
  return region;
}

// By now the name may be another file's, or nobody's.
function count(store: Store, { name, content }: Region, size: number): void {
  try {
    const { inode } = store.relay.identify(store.tree, name);
    if (inode === content.generation.inode) store.quota.set(name, size);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  }
}

// Bytes that were cut off only in name have to be zeros before they are a region's again: nobody may be sending them.
function wanted(region: Region, size: number): Wanted {
  const { generation } = region.content;
  const isStale = size > generation.size && region.state.limit !== undefined;
  if (isStale) return { ...behindEnd(region), needs: 'done' };
  return { offset: Math.min(size, generation.size), length: Number.POSITIVE_INFINITY, needs: 'nothing' };
}

// What must not be in flight when the file is cut. On fsdax the kernel waits for references to any page of it.
function behindEnd({ content: { generation } }: Region): Omit<Wanted, 'needs'> {
  return { offset: generation.backing === 'fsdax' ? 0 : generation.size, length: Number.POSITIVE_INFINITY };
}

async function shrink(store: Store, change: Change, size: number): Promise<void> {
  await store.turns.take(change.region.name, () => store.states.resize(change.region.name, size, true));
}

async function grow(store: Store, change: Change, size: number): Promise<void> {
  const { name, content, state } = change.region;
  const { files } = store.relay;
  if (state.limit !== undefined) await files.cut(change.fd, content.generation.size);
  const note = (to: number, cut: boolean) => store.turns.take(name, () => store.states.resize(name, to, cut));
  // After a crash in between, what is behind the old size is cut off.
  await note(content.generation.size, true);
  await files.extend(change.fd, size);
  await files.sync(change.fd);
  checkMapping(store, name, size);
  await note(size, false);
}

// A region that can't be mapped could be neither read nor changed again. One that others have removed meanwhile has nothing
// to be mapped, and another error, as for want of descriptors, tells nothing of room.
function checkMapping(store: Store, name: string, size: number): void {
  try {
    const generation = unlessMissing(() => store.relay.openGeneration(store.tree, name, size));
    if (generation) store.relay.closeGeneration(generation);
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== 'ENOMEM') throw error;
    throw new Refusal('no-space', 'So many bytes can not be mapped here.', error);
  }
}

function endResize(store: Store, change: Change, size: number): Region {
  const region = endChange(store, change, size);
  store.catalog.letGo(change.region.name);
  return region;
}

/** Cuts a region's file to its logical size as soon as nobody sends what is behind that. */
export function cutLater(store: Store, name: string, milliseconds = firstMilliseconds): void {
  setTimeout(() => {
    if (store.isClosing()) return;
    store.track(tryToCut(store, name)).then(
      (isOver) => isOver || cutLater(store, name, Math.min(milliseconds * 2, lastMilliseconds)),
      (error: Error) => store.report('a file could not be cut to the size of its region', { err: error, region: name }),
    );
  }, milliseconds).unref();
}

/** Whether there is nothing to be done any more. */
async function tryToCut(store: Store, name: string): Promise<boolean> {
  const region = store.catalog.findAny(name);
  if (!region || region.state.limit === undefined) return true;
  const { offset, length } = behindEnd(region);
  let claim: Claim;
  try {
    claim = store.relay.lease(region.content.generation, offset, length, 'done', false);
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  }
  if (!store.lock.exclude()) {
    store.relay.endLease(claim);
    return false;
  }
  try {
    store.relay.touchLease(claim);
    await store.turns.take(name, () => cut(store, region));
    return true;
  } finally {
    store.relay.endLease(claim, region.content.generation);
    store.lock.readmit();
    store.catalog.letGo(name);
  }
}

// In the name's turn, so that no epoch is opened meanwhile; and what is known of the region must fit its file whenever
// this is cut off.
async function cut(store: Store, { name, content }: Region): Promise<void> {
  const { inode, size } = content.generation;
  const fd = unlessMissing(() => store.relay.openFile(store.tree, name));
  if (fd === undefined) return; // It was removed meanwhile.
  try {
    if (fileOf(fd).inode !== inode) return; // Another file has the name.
    const before = store.states.isOpen(name, inode) ? undefined : store.states.describe(name, fileOf(fd));
    store.states.changing(name, inode, undefined);
    if (before) await store.states.settling(name, before);
    try {
      await store.relay.files.cut(fd, size);
      await store.relay.files.sync(fd);
    } finally {
      const file = fileOf(fd);
      store.states.changed(name, file, size);
      if (before) await store.states.settle(name, before, file, file.size > size);
    }
  } finally {
    closeSync(fd);
  }
}
