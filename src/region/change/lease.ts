/** Leases on pages of a region that are to be changed, and waiting for them. @module */
import { setTimeout as delay } from 'node:timers/promises';
import { fileKeyOf } from '../../relay/file-identity.ts';
import { type Claim, type Needs, SystemError } from '../../relay/relay.ts';
import type { Region } from '../region.ts';
import { unlessFailed } from '../unless-failed.ts';
import { within } from '../within.ts';
import { Refusal } from './refusal.ts';
import type { Store } from './store.ts';

/** So long a lane may take to end its turn, in which readers do not go on with copies yet. */
const turnMilliseconds = 100;

/** How often another service is asked for again. */
const pollMilliseconds = 25;

/** Judges what is there now, and throws what the request is to be refused with. */
export type Judge = (current: Region | undefined) => void;

/** How long a change may wait. */
export type Patience = {
  /** A time of `performance.now()`. */
  readonly deadline: number;
  /** The client has gone away. */
  readonly signal: AbortSignal;
};

/** A change of a region that somebody asks for. */
export type Judged = { readonly name: string; readonly judge: Judge };

/** One of its own pages, or of its size. */
export type Asked = Judged & { readonly patience: Patience };

/** The pages that a change wants, and what it has to wait for. Bytes; `length` may be Infinity. */
export type Wanted = { readonly offset: number; readonly length: number; readonly needs: Needs };

/** A lease on pages of a region that is still what it was when it was asked for, and what was waited for. */
export type Leased = {
  readonly region: Region;
  readonly claim: Claim;
  readonly needs: Needs;
  /** To be called when the lease has ended: a process that was here before sends these pages too. */
  readonly release?: (() => void) | undefined;
};

/**
 * Waits for a lease. It judges the region before, and after a wait again, for others may have changed it meanwhile.
 *
 * @throws NotOurs; Refusal `region-not-found`, `range-busy`; what `judge` and `want` throw
 */
export async function lease(store: Store, asked: Asked, want: (region: Region) => Wanted): Promise<Leased> {
  for (;;) {
    const region = findToChange(store, asked);
    const wanted = want(region);
    const idle = leaseAtOnce(store, region, wanted);
    if (idle) return idle;
    const leased = wanted.needs === 'done' ? undefined : leaseAtOnce(store, region, wanted, wanted.needs);
    if (leased) return leased;
    // Readers who have not been sent all of it yet are no reason to wait, once other writers are through with it.
    const claim = ask(store, region, { ...wanted, needs: 'nothing' });
    if (!claim) continue;
    let release: (() => void) | undefined;
    try {
      await granted(store, claim, asked.patience);
      await waitFor(store, claim, wanted.needs, asked.patience);
      release = await leaseFromPredecessor(store, region, wanted, asked.patience);
      const now = findToChange(store, asked);
      const isSame = now.content.generation.inode === region.content.generation.inode;
      // Whoever came before may have changed what has to be waited for.
      if (isSame && covers(wanted, want(now))) return { region: now, claim, needs: wanted.needs, release };
    } catch (error) {
      store.relay.claims.endLease(claim);
      release?.();
      throw error;
    }
    store.relay.claims.endLease(claim);
    release?.();
  }
}

/** The same of a process that was here before, where it still sends pages of the file. */
async function leaseFromPredecessor(
  { predecessor, role }: Store,
  { content }: Region,
  { offset, length, needs }: Wanted,
  { deadline, signal }: Patience,
): Promise<(() => void) | undefined> {
  const file = fileKeyOf(content.generation);
  if (needs === 'nothing' || !predecessor.has(file)) return undefined;
  const milliseconds = Math.max(turnMilliseconds, deadline - performance.now());
  return predecessor.lease({ file, offset, length, needs }, milliseconds, signal, role.leaving);
}

const strength: Record<Needs, number> = { nothing: 0, accepted: 1, done: 2 };

function covers(had: Wanted, wanted: Wanted): boolean {
  const inside = had.offset <= wanted.offset && wanted.offset + wanted.length <= had.offset + had.length;
  return inside && strength[had.needs] >= strength[wanted.needs];
}

/** The region as it is now, judged. @throws NotOurs; Refusal `region-not-found`, `tree-moved`; what `judge` throws */
export function findToChange(store: Store, { name, judge }: Judged): Region {
  store.role.check();
  store.tree.check();
  const region = store.catalog.isOfTree(name) ? store.catalog.findAny(name) : undefined;
  judge(region);
  if (!region) throw new Refusal('region-not-found', 'There is no such region.');
  return region;
}

/** A lease on pages that nobody has, as is usual; undefined where somebody has some. */
export function leaseAtOnce(
  store: Store,
  region: Region,
  { offset, length }: Omit<Wanted, 'needs'>,
  needs: Needs = 'done',
): Leased | undefined {
  if (needs !== 'nothing' && store.predecessor.has(fileKeyOf(region.content.generation))) return undefined;
  const claim = unlessFailed(() => store.relay.claims.lease(region.content.generation, offset, length, needs, false));
  return claim && { region, claim, needs };
}

function ask(store: Store, region: Region, { offset, length, needs }: Wanted): Claim | undefined {
  return orRefuse(() => {
    try {
      return store.relay.claims.lease(region.content.generation, offset, length, needs);
    } catch (error) {
      // Closed meanwhile: find it again.
      if (error instanceof SystemError && (error.code === 'ESTALE' || error.code === 'EBADF')) return undefined;
      throw error;
    }
  });
}

function orRefuse<Result>(act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.code === 'EBUSY') throw quarantined(error);
    if (error.code === 'EUSERS') throw new Refusal('range-busy', 'Too many wait for this region already.', error);
    throw error;
  }
}

function quarantined(cause?: unknown): Refusal {
  return new Refusal('range-busy', 'Pages of it are quarantined: nobody can tell when they are done.', cause);
}

/** The same, where readers who have not been sent all of it yet go on with copies. */
export async function leaseFromReaders(
  store: Store,
  region: Region,
  wanted: Omit<Wanted, 'needs'>,
): Promise<Leased | undefined> {
  const idle = leaseAtOnce(store, region, wanted);
  const behindWriters = idle ? undefined : leaseAtOnce(store, region, wanted, 'nothing');
  if (!behindWriters) return idle;
  await store.relay.claims.keepUnsent(behindWriters.claim);
  store.relay.claims.endLease(behindWriters.claim);
  return leaseAtOnce(store, region, wanted);
}

async function waitFor(store: Store, claim: Claim, needs: Needs, { deadline, signal }: Patience): Promise<void> {
  if (needs === 'nothing') return;
  await store.relay.claims.keepUnsent(claim);
  const waiting = orRefuse(() => store.relay.claims.waitFor(claim, needs));
  await granted(store, waiting, { deadline: Math.max(deadline, performance.now() + turnMilliseconds), signal });
}

async function granted({ role }: Store, claim: Claim, { deadline, signal }: Patience): Promise<void> {
  if (claim.atOnce) return;
  const isGranted = await within(claim.granted, deadline - performance.now(), signal, role.leaving);
  if (isGranted) return;
  signal.throwIfAborted();
  role.check();
  if (isGranted === false) throw quarantined();
  throw new Refusal('range-busy', 'Readers or writers have had it for as long as was waited.');
}

/** Locks other services out, until `readmit`. @throws NotOurs; Refusal `other-writer` */
export async function lockOthersOut({ tree: { lock }, role }: Store, patience: Patience): Promise<void> {
  while (!lock.exclude()) {
    role.check();
    if (performance.now() > patience.deadline) {
      throw new Refusal('other-writer', 'Another service holds pages of this tree.');
    }
    await delay(pollMilliseconds, undefined, { signal: patience.signal });
  }
}
