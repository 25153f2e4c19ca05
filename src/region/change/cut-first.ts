/** Regions that become shorter where there is no room to write down anything, not even that. @module */
import { closeSync } from 'node:fs';
import type { Region } from '../region.ts';
import { fileOf, type Leased, leaseRegion, lockOthersOut, type Patience, type Wanted } from './in-place.ts';
import { Refusal, refusalOf } from './refusal.ts';
import type { Judge } from './replace.ts';
import type { Store } from './store.ts';

/**
 * Cuts a region's file as soon as nobody sends what is behind the new size. Its entity-tag is then that of a file that
 * others have cut, by its size and times, for nothing else could have been written down before: a crash leaves the old
 * region or the new one.
 *
 * @throws Refusal; what `judge` throws
 */
export async function cutFirst(
  store: Store,
  name: string,
  size: number,
  judge: Judge,
  patience: Patience,
): Promise<Region> {
  const leased = await leaseRegion(store, name, judge, (region) => behind(region, size), patience);
  try {
    await lockOthersOut(store, patience);
    try {
      await store.turns.take(name, () => store.catalog.whileOurs(name, () => cut(store, leased, size, judge)));
    } finally {
      store.lock.readmit();
    }
    store.quota.set(name, size);
  } catch (error) {
    throw refusalOf(error);
  } finally {
    store.relay.endLease(leased.claim);
    store.catalog.letGo(name);
  }
  return store.catalog.find(name);
}

// On fsdax the kernel waits for references to any page of the file.
function behind({ content: { generation } }: Region, size: number): Wanted {
  return { offset: generation.backing === 'fsdax' ? 0 : size, length: Number.POSITIVE_INFINITY, needs: 'done' };
}

async function cut(store: Store, { region, claim }: Leased, size: number, judge: Judge): Promise<void> {
  const { inode } = region.content.generation;
  const fd = store.relay.openFile(store.tree, region.name);
  try {
    const now = store.catalog.findAny(region.name);
    judge(now);
    const isSame = fileOf(fd).inode === inode && now?.content.generation.inode === inode;
    if (!isSame || now.content.generation.size < size) throw new Refusal('range-busy', 'It was changed meanwhile.');
    // Whoever was judged before and takes pages after this is judged again.
    store.relay.beginLease(claim, now.content.epoch);
    await store.relay.files.cut(fd, size);
    await store.relay.files.sync(fd);
    await store.states.cutUnsaid(region.name, fileOf(fd), now.state.contentType);
  } finally {
    closeSync(fd);
  }
}
