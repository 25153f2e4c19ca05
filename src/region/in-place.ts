/** Changes of a region's own pages, or of its size: under a lease, with the version moved before a byte changes. @module */
import { closeSync, fstatSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Claim, FileIdentity, Needs } from '../relay/relay.ts';
import { SystemError } from '../relay/relay.ts';
import { Refusal } from './refusal.ts';
import type { Region } from './region.ts';
import type { Judge } from './replace.ts';
import type { Store } from './store.ts';

/** The pages that a change wants, and what it has to wait for. Bytes; `length` may be Infinity. */
export type Wanted = { readonly offset: number; readonly length: number; readonly needs: Needs };

/** How long a change may wait. */
export type Patience = {
  /** Of `performance.now()`. */
  readonly deadline: number;
  /** The client has gone away. */
  readonly signal: AbortSignal;
};

/** A lease on pages of a region that is still what it was when it was asked for. */
export type Leased = { readonly region: Region; readonly claim: Claim };

/**
 * Waits for a lease. The region is judged before, and again once it is had: others may have changed it meanwhile.
 *
 * @throws Refusal `region-not-found`, `range-busy`; what `judge` throws
 */
export async function leaseRegion(
  store: Store,
  name: string,
  judge: Judge,
  want: (region: Region) => Wanted,
  patience: Patience,
): Promise<Leased> {
  for (;;) {
    const region = find(store, name, judge);
    const { offset, length, needs } = want(region);
    const claim = ask(store, region, offset, length, needs);
    if (!claim) continue;
    try {
      await granted(claim, patience);
      const now = find(store, name, judge);
      if (now.content.generation.inode === region.content.generation.inode) return { region: now, claim };
    } catch (error) {
      store.relay.endLease(claim);
      throw error;
    }
    store.relay.endLease(claim);
  }
}

function find(store: Store, name: string, judge: Judge): Region {
  const region = store.catalog.isOfTree(name) ? store.catalog.findAny(name) : undefined;
  judge(region);
  if (!region) throw new Refusal('region-not-found', 'There is no such region.');
  return region;
}

function ask(store: Store, region: Region, offset: number, length: number, needs: Needs): Claim | undefined {
  try {
    return store.relay.lease(region.content.generation, offset, length, needs);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.code === 'EBUSY') throw quarantined(error);
    if (error.code === 'ESTALE' || error.code === 'EBADF') return undefined; // Closed meanwhile: find it again.
    throw error;
  }
}

function quarantined(cause?: unknown): Refusal {
  return new Refusal('range-busy', 'Pages of it are quarantined: nobody can tell when they are done.', cause);
}

async function granted(claim: Claim, { deadline, signal }: Patience): Promise<void> {
  const ended = new AbortController();
  const late = delay(Math.max(0, deadline - performance.now()), 'late' as const, {
    signal: AbortSignal.any([signal, ended.signal]),
  });
  try {
    const outcome = await Promise.race([claim.granted, late]);
    if (outcome === 'late')
      throw new Refusal('range-busy', 'Readers or writers have had it for as long as was waited.');
    if (!outcome) throw quarantined();
  } finally {
    late.catch(() => {});
    ended.abort();
  }
}

/** A change that may begin: it ends by `end`, in any case. */
export type Change = {
  readonly claim: Claim;
  /** The region as it is from now on: at its new version. */
  region: Region;
  readonly epoch: number;
  /** The region's file, to be written. */
  readonly fd: number;
};

/**
 * Begins a change of bytes under a lease: locks out other services, makes it durable that this run changes the region,
 * and moves the version. When it fails the lease is still there.
 *
 * @throws Refusal `other-writer`, `range-busy`
 */
export async function beginChange(store: Store, { region, claim }: Leased): Promise<Change> {
  const { name, content } = region;
  if (!store.lock.exclude()) throw new Refusal('other-writer', 'Another service holds pages of this tree.');
  let fd: number | undefined;
  try {
    fd = store.relay.openFile(store.tree, name);
    const epoch = await store.turns.take(name, () => openEpoch(store, region));
    if (fileOf(fd).inode !== content.generation.inode) throw new Refusal('range-busy', 'It was replaced meanwhile.');
    const version = store.relay.beginLease(claim, epoch);
    store.states.changing(name, content.generation.inode, version);
    return { claim, epoch, fd, region: store.catalog.moved(region, version, epoch) };
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    store.lock.readmit();
    throw error;
  }
}

// By the name's turn another file may have it: then what is written down would be about that one.
async function openEpoch(store: Store, region: Region): Promise<number> {
  const { generation } = region.content;
  const file = store.relay.identify(store.tree, region.name);
  if (file.inode !== generation.inode) throw new Refusal('range-busy', 'It was replaced meanwhile.');
  return store.states.openEpoch(region.name, file, region.state);
}

/** The bytes may have changed once more than was told: the version moves again. */
export function moveAgain(store: Store, change: Change): void {
  const version = store.relay.beginLease(change.claim, change.epoch);
  store.states.moved(change.region.name, change.region.content.generation.inode, version);
  change.region = store.catalog.moved(change.region, version, change.epoch);
}

/** Ends a change, and the lease with it. The region is then at the version of the last change that has begun. `size`: the region's from now on, where it changes. */
export function endChange(store: Store, change: Change, size?: number): Region {
  const { claim, fd, region, epoch } = change;
  const file = fileOf(fd);
  const version = store.states.changed(region.name, file, size) ?? region.content.version;
  const moved = store.catalog.moved(region, version, epoch, file);
  store.relay.endLease(claim, region.content.generation);
  closeSync(fd);
  store.lock.readmit();
  return moved;
}

/** What is behind a descriptor. */
export function fileOf(fd: number): FileIdentity {
  const { ino, dev, size, mtimeNs } = fstatSync(fd, { bigint: true });
  return {
    device: Number(dev),
    inode: Number(ino),
    size: Number(size),
    modifiedSeconds: Number(mtimeNs / 1_000_000_000n),
    modifiedNanoseconds: Number(mtimeNs % 1_000_000_000n),
  };
}
