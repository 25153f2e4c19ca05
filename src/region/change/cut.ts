/** Files that are cut: to the size that their region has already, or before anything else where there is no room. @module */
import { closeSync } from 'node:fs';
import { fileOf } from '../../relay/file-identity.ts';
import { unlessMissing } from '../catalog.ts';
import type { Region } from '../region.ts';
import { type Asked, findToChange, type Leased, leaseAtOnce, lockOthersOut, whileLeased } from './lease.ts';
import { Refusal, refusalOf } from './refusal.ts';
import type { Store } from './store.ts';

const firstMilliseconds = 20;
const lastMilliseconds = 2000;

/** What must not be in flight when the file is cut. On fsdax the kernel waits for references to any page of it. */
export function behind({ content: { generation } }: Region, size: number): { offset: number; length: number } {
  return { offset: generation.backing === 'fsdax' ? 0 : size, length: Number.POSITIVE_INFINITY };
}

/**
 * Makes a region shorter where there is no room to write down anything, not even that: cuts its file as soon as nobody
 * sends what is behind the new size. Its entity-tag is then that of a file that others have cut, by its size and times,
 * for nothing else could have been written down before: a crash leaves the old region or the new one.
 *
 * @throws Refusal; what `judge` throws
 */
export async function cutFirst(store: Store, asked: Asked, size: number): Promise<Region> {
  const { name } = asked;
  const want = (region: Region) => ({ ...behind(region, size), needs: 'done' }) as const;
  try {
    await whileLeased(store, asked, want, async (leased) => {
      await lockOthersOut(store, asked.patience);
      try {
        const act = () => cutUnsaid(store, leased, asked, size);
        await store.turns.take(name, () => store.catalog.whileOurs(name, act));
      } finally {
        store.lock.readmit();
      }
    });
  } catch (error) {
    throw refusalOf(error);
  } finally {
    store.catalog.letGo(name);
  }
  store.quota.set(name, size);
  return store.catalog.find(name);
}

async function cutUnsaid(store: Store, leased: Leased, asked: Asked, size: number): Promise<void> {
  const { name } = asked;
  const { inode } = leased.region.content.generation;
  const fd = store.relay.openFile(store.tree, name);
  try {
    const { content, state } = findToChange(store, asked);
    const isSame = fileOf(fd).inode === inode && content.generation.inode === inode;
    if (!isSame || content.generation.size < size) throw new Refusal('range-busy', 'It was changed meanwhile.');
    // Whoever was judged before and takes pages after this is judged again.
    leased.moveVersion(content.epoch);
    await store.relay.files.cut(fd, size);
    await store.relay.files.sync(fd);
    await store.states.cutUnsaid(name, fileOf(fd), state.contentType);
  } finally {
    closeSync(fd);
  }
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
  const leased = leaseAtOnce(store, region, behind(region, region.content.generation.size));
  if (!leased) return false;
  if (!store.lock.exclude()) {
    leased.end();
    return false;
  }
  try {
    leased.touch();
    await store.turns.take(name, () => cut(store, region));
    return true;
  } finally {
    leased.end(true);
    store.lock.readmit();
    store.catalog.letGo(name);
  }
}

// In the name's turn, so that no epoch is opened meanwhile.
async function cut(store: Store, { name, content }: Region): Promise<void> {
  const { inode, size } = content.generation;
  const fd = unlessMissing(() => store.relay.openFile(store.tree, name));
  if (fd === undefined) return; // It was removed meanwhile.
  try {
    if (fileOf(fd).inode !== inode) return; // Another file has the name.
    await store.states.whileCutting(name, fd, size, async () => {
      await store.relay.files.cut(fd, size);
      await store.relay.files.sync(fd);
    });
  } finally {
    closeSync(fd);
  }
}
