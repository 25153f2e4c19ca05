/** Changes of a region's own pages, or of its size: under a lease, with the version moved before a byte changes. @module */
import { closeSync, fstatSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { identityOf } from '../../relay/file-identity.ts';
import type { Claim, FileIdentity, Needs } from '../../relay/relay.ts';
import { SystemError } from '../../relay/relay.ts';
import type { Region } from '../region.ts';
import { Refusal } from './refusal.ts';
import type { Judge } from './replace.ts';
import type { Store } from './store.ts';

/** How often another service is asked for again. */
const pollMilliseconds = 25;

/** The pages that a change wants, and what it has to wait for. Bytes; `length` may be Infinity. */
export type Wanted = { readonly offset: number; readonly length: number; readonly needs: Needs };

/** How long a change may wait. */
export type Patience = {
  /** Of `performance.now()`. */
  readonly deadline: number;
  /** The client has gone away. */
  readonly signal: AbortSignal;
};

/** A lease on pages of a region that is still what it was when it was asked for, and what was waited for. */
export type Leased = { readonly region: Region; readonly claim: Claim; readonly needs: Needs };

/**
 * Waits for a lease. The region is judged before and, where that took any time, again once it is had: others may have
 * changed it meanwhile.
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
    const idle = needs === 'accepted' ? askIdle(store, region, offset, length) : undefined;
    if (idle) return { region, claim: idle, needs: 'done' };
    const claim = ask(store, region, offset, length, needs);
    if (!claim) continue;
    if (claim.atOnce) return { region, claim, needs };
    try {
      await granted(claim, patience);
      const now = find(store, name, judge);
      const isSame = now.content.generation.inode === region.content.generation.inode;
      // Whoever came before may have changed what has to be waited for.
      if (isSame && covers({ offset, length, needs }, want(now))) return { region: now, claim, needs };
    } catch (error) {
      store.relay.endLease(claim);
      throw error;
    }
    store.relay.endLease(claim);
  }
}

const strength: Record<Needs, number> = { nothing: 0, accepted: 1, done: 2 };

function covers(had: Wanted, wanted: Wanted): boolean {
  const inside = had.offset <= wanted.offset && wanted.offset + wanted.length <= had.offset + had.length;
  return inside && strength[had.needs] >= strength[wanted.needs];
}

function find(store: Store, name: string, judge: Judge): Region {
  store.checkTree();
  const region = store.catalog.isOfTree(name) ? store.catalog.findAny(name) : undefined;
  judge(region);
  if (!region) throw new Refusal('region-not-found', 'There is no such region.');
  return region;
}

// Mostly nobody has any of the pages.
function askIdle(store: Store, region: Region, offset: number, length: number): Claim | undefined {
  try {
    return store.relay.lease(region.content.generation, offset, length, 'done', false);
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}

function ask(store: Store, region: Region, offset: number, length: number, needs: Needs): Claim | undefined {
  try {
    return store.relay.lease(region.content.generation, offset, length, needs);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.code === 'EBUSY') throw quarantined(error);
    if (error.code === 'EUSERS') throw new Refusal('range-busy', 'Too many wait for this region already.', error);
    if (error.code === 'ESTALE' || error.code === 'EBADF') return undefined; // Closed meanwhile: find it again.
    throw error;
  }
}

function quarantined(cause?: unknown): Refusal {
  return new Refusal('range-busy', 'Pages of it are quarantined: nobody can tell when they are done.', cause);
}

async function granted(claim: Claim, { deadline, signal }: Patience): Promise<void> {
  signal.throwIfAborted();
  const { promise: given, resolve: give, reject: giveUp } = Promise.withResolvers<boolean | 'late'>();
  const late = setTimeout(give, Math.max(0, deadline - performance.now()), 'late');
  const abort = () => giveUp(signal.reason);
  signal.addEventListener('abort', abort);
  void claim.granted.then(give);
  try {
    const outcome = await given;
    if (outcome === 'late')
      throw new Refusal('range-busy', 'Readers or writers have had it for as long as was waited.');
    if (!outcome) throw quarantined();
  } finally {
    clearTimeout(late);
    signal.removeEventListener('abort', abort);
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
 * judges the region for the last time and moves the version. When it fails the lease is still there.
 *
 * @throws Refusal `other-writer`, `range-busy`; what `judge` throws
 */
export async function beginChange(store: Store, leased: Leased, judge: Judge, patience: Patience): Promise<Change> {
  const { name, content } = leased.region;
  await lockOthersOut(store, patience);
  let fd: number | undefined;
  try {
    fd = store.relay.openFile(store.tree, name);
    const file = fileOf(fd);
    if (file.inode !== content.generation.inode) throw replaced();
    const opened = { ...leased, judge, fd };
    return beginAtOnce(store, opened, file) ?? (await store.turns.take(name, () => beginInTurn(store, opened)));
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    store.lock.readmit();
    throw error;
  }
}

/** Locks other services out, until `store.lock.readmit()`. @throws Refusal `other-writer` */
export async function lockOthersOut({ lock }: Store, { deadline, signal }: Patience): Promise<void> {
  while (!lock.exclude()) {
    if (performance.now() > deadline) throw new Refusal('other-writer', 'Another service holds pages of this tree.');
    await delay(pollMilliseconds, undefined, { signal });
  }
}

function replaced(): Refusal {
  return new Refusal('range-busy', 'It was replaced meanwhile.');
}

type Opened = Leased & { readonly judge: Judge; readonly fd: number };

// This run has changed the file before, no one else has since, and nobody is about to exchange it: nothing is to be waited
// for, and what was judged need not be looked at again but where it has moved.
function beginAtOnce(store: Store, opened: Opened, file: FileIdentity): Change | undefined {
  const { region } = opened;
  const epoch = store.turns.isFree(region.name) ? store.states.epochOf(region.name, file) : undefined;
  if (epoch === undefined) return undefined;
  return begin(store, opened, store.catalog.isLatest(region) ? region : judgeAgain(store, opened), epoch);
}

// By the name's turn another file may have it: then what is written down would be about that one.
async function beginInTurn(store: Store, opened: Opened): Promise<Change> {
  const { name, content, state } = opened.region;
  const file = store.relay.identify(store.tree, name);
  if (file.inode !== content.generation.inode) throw replaced();
  const epoch = await store.states.openEpoch(name, file, state);
  return begin(store, opened, judgeAgain(store, opened), epoch);
}

function judgeAgain(store: Store, { region, judge }: Opened): Region {
  const now = find(store, region.name, judge);
  if (now.content.generation.inode !== region.content.generation.inode) throw replaced();
  return now;
}

// Of two changes that were made for one version only one may begin: from the last judgement to here nothing is waited for.
function begin(store: Store, { claim, fd }: Opened, region: Region, epoch: number): Change {
  const version = store.relay.beginLease(claim, epoch);
  store.states.changing(region.name, region.content.generation.inode, version);
  return { claim, epoch, fd, region: store.catalog.moved(region, version, epoch) };
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
  return identityOf(fstatSync(fd, { bigint: true }));
}
