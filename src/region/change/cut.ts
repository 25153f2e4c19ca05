/** Files that are cut: to the size that their region has already, or before anything else where there is no room. @module */
import { fileOf, missing } from '../../relay/file-identity.ts';
import { type Generation, SystemError } from '../../relay/relay.ts';
import type { Region } from '../region.ts';
import { type Change, withChange } from './change.ts';
import { type Asked, lease, leaseAtOnce, leaseFromReaders } from './lease.ts';
import { Refusal, refusalOf } from './refusal.ts';
import { NotOurs } from './role.ts';
import type { Store } from './store.ts';

const firstMilliseconds = 20;
const lastMilliseconds = 2000;

/** What must not be in flight when the file is cut. On fsdax the kernel waits for references to any page of it. */
export function behind({ content: { generation } }: Region, size: number): { offset: number; length: number } {
  return { offset: isOnFsdax(generation) ? 0 : size, length: Number.POSITIVE_INFINITY };
}

function isOnFsdax({ backing }: Generation): boolean {
  return backing === 'fsdax';
}

/**
 * Makes a region shorter where there is no room to write anything down: cuts its file as soon as nobody sends the bytes
 * behind its new size. Its entity-tag is then that of a file that others have cut. A crash leaves the old region or the
 * new one.
 *
 * @throws Refusal; what `judge` throws
 */
export async function cutFirst(store: Store, asked: Asked, size: number): Promise<Region> {
  const { name } = asked;
  const leased = await lease(store, asked, (region) => ({ ...behind(region, size), needs: 'done' }));
  try {
    await withChange(store, asked, leased, async (change) => {
      await change.open();
      await store.turns.take(name, () => store.catalog.whileOurs(name, () => cutUnsaid(store, change, size)));
    });
  } catch (error) {
    throw refusalOf(error);
  } finally {
    store.catalog.letGo(name);
  }
  store.quota.set(name, size);
  return store.catalog.find(name);
}

async function cutUnsaid(store: Store, change: Change, size: number): Promise<void> {
  const { name, content, state } = change.judgeAgain();
  if (content.generation.size < size) throw new Refusal('range-busy', 'It was changed meanwhile.');
  // Whoever was judged before and takes pages after this is judged again.
  change.moveVersion(content.epoch);
  await cutFile(store, change.fd, size);
  await store.states.cutUnsaid(name, fileOf(change.fd), state.contentType);
}

async function cutFile({ relay }: Store, fd: number, size: number): Promise<void> {
  await relay.files.cut(fd, size);
  await relay.files.sync(fd);
}

/**
 * Cuts a region's file to its logical size as soon as nobody has in flight what is behind that. Readers who have not been
 * sent it yet are no reason to wait.
 */
export function cutLater(store: Store, name: string, milliseconds = firstMilliseconds): void {
  setTimeout(() => {
    if (store.underway.isClosing) return;
    store.underway.follow(tryToCut(store, name)).then(
      (isOver) => isOver || cutLater(store, name, Math.min(milliseconds * 2, lastMilliseconds)),
      (error: Error) => store.report('a file could not be cut to the size of its region', { err: error, region: name }),
    );
  }, milliseconds).unref();
}

/** Whether there is nothing to be done any more. */
async function tryToCut(store: Store, name: string): Promise<boolean> {
  const region = store.catalog.findAny(name);
  if (!region || region.state.limit === undefined) return true;
  const { size } = region.content.generation;
  // On fsdax that is the whole file: readers of what stays would get copies each time that it is tried.
  const take = isOnFsdax(region.content.generation) ? leaseAtOnce : leaseFromReaders;
  const leased = await take(store, region, behind(region, size));
  if (!leased) return false;
  let mayBeCut = false;
  try {
    await withChange(store, { name, judge: () => {}, patience: atOnce }, leased, async (change) => {
      await change.open();
      mayBeCut = true;
      change.touch();
      // In the name's turn nobody opens an epoch, or gives the name to another file.
      await store.turns.take(name, async () => {
        change.judgeAgain();
        await store.states.whileCutting(name, change.fd, size, () => cutFile(store, change.fd, size));
      });
    });
    return true;
  } catch (error) {
    // Another service has pages, or has taken this one's place, or the name is another file's by now, or nobody's.
    if (
      error instanceof Refusal ||
      error instanceof NotOurs ||
      (error instanceof SystemError && missing.has(error.code))
    )
      return false;
    throw error;
  } finally {
    if (mayBeCut) store.catalog.letGo(name);
  }
}

const atOnce = { deadline: 0, signal: new AbortController().signal };
