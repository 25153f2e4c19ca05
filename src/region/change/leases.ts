/** Leases of processes on this machine that map a region's file and write to it themselves. @module */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { ByteRange } from '../../relay/extent.ts';
import type { Page } from '../../relay/page.ts';
import { Change } from './change.ts';
import { inodeOf } from './direct-writes.ts';
import { type Asked, lease, leaseAtOnce } from './lease.ts';
import { Refusal } from './refusal.ts';
import type { Store } from './store.ts';

/** Seconds. */
export const longestTtl = 300;

/** An exclusive hold on a range, as `GET /leases` shows it. Bytes, both inclusive. */
export type Lease = {
  /** Secret enough: who knows it can end the lease. */
  readonly id: string;
  readonly region: string;
  readonly first: number;
  readonly last: number;
  /** RFC 3339. */
  readonly expiresAt: string;
  /** The file to be mapped. */
  readonly path: string;
  /** Who has it: a name that it gave itself, and where it asked from. */
  readonly owner: string;
};

/** A lease that goes on in another process. Milliseconds since 1970. */
export type GivenLease = { readonly lease: Lease; readonly expiresAt: number };

type Held = { lease: Lease; readonly change: Change; timer: NodeJS.Timeout };

/** All leases that processes have. */
export class Leases {
  /** How many ended by their time, unreleased. */
  expired = 0;
  readonly #store: Store;
  readonly #held = new Map<string, Held>();

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Takes a lease on the whole pages of a range for `ttl` seconds: waits until nobody sends them, and moves the
   * version.
   *
   * @throws Refusal; what `judge` throws
   */
  async take(asked: Asked, range: ByteRange, ttl: number, owner: string): Promise<Lease> {
    const id = randomBytes(15).toString('base64url');
    const region = asked.name;
    const path = join(this.#store.tree.path, region);
    const wanted = { offset: range.first, length: range.last - range.first + 1, needs: 'done' } as const;
    const leased = await lease(this.#store, asked, () => wanted);
    const change = new Change(this.#store, asked, leased);
    await this.#begin(change);
    const held = { id, region, ...range, expiresAt: expiry(ttl), path, owner };
    this.#held.set(id, { lease: held, change, timer: this.#expireAfter(id, ttl) });
    return held;
  }

  /** @throws Refusal `lease-not-found` */
  renew(id: string, ttl: number): Lease {
    const held = this.#find(id);
    clearTimeout(held.timer);
    held.timer = this.#expireAfter(id, ttl);
    held.lease = { ...held.lease, expiresAt: expiry(ttl) };
    return held.lease;
  }

  /** @throws Refusal `lease-not-found` */
  release(id: string): void {
    const { change, timer } = this.#find(id);
    clearTimeout(timer);
    this.#held.delete(id);
    this.#store.directWrites.readmit(inodeOf(change.region));
    change.commit();
  }

  list(): Lease[] {
    return [...this.#held.values()].map(({ lease }) => lease);
  }

  /** Leases in the order of their ids: those behind `after` (empty: all), at most `limit`. */
  page(after: string, limit: number): Page<Lease, string> {
    const behind = this.list().filter(({ id }) => id > after);
    const items = behind.sort((one, other) => (one.id < other.id ? -1 : 1)).slice(0, limit);
    return { items, next: items.length < behind.length ? items.at(-1)?.id : undefined };
  }

  /** Ends all. Holders may go on writing, so what they change belongs to no version that was shown. */
  close(): void {
    for (const [id, { change }] of [...this.#held]) {
      change.leaveOpen();
      this.release(id);
    }
  }

  /** All, for the process that takes this one's place. They are this one's until `leave`. */
  give(): GivenLease[] {
    return this.list().map((lease) => ({ lease, expiresAt: Date.parse(lease.expiresAt) }));
  }

  /** They go on in the other process, until they end there, or by their time. */
  leave(): void {
    for (const [id, { change, timer }] of [...this.#held]) {
      clearTimeout(timer);
      change.give();
      this.#held.delete(id);
    }
  }

  /** Goes on with what a process had given whose place this one has taken, before anybody reads or changes anything. */
  async takeOver(given: readonly GivenLease[]): Promise<void> {
    for (const { lease, expiresAt } of given) {
      const change = await this.#resume(lease);
      const seconds = Math.max(0, (expiresAt - Date.now()) / 1000);
      if (change) this.#held.set(lease.id, { lease, change, timer: this.#expireAfter(lease.id, seconds) });
    }
  }

  // Undefined where the region has gone, or is another file.
  async #resume({ region: name, first, last, owner }: Lease): Promise<Change | undefined> {
    const region = this.#store.catalog.findAny(name);
    const wanted = { offset: first, length: last - first + 1 };
    const leased = region && leaseAtOnce(this.#store, region, wanted, 'nothing');
    if (!leased) {
      this.#store.report('a lease ended: its region is another file', { region: name, owner });
      return undefined;
    }
    const patience = { deadline: performance.now() + mostMilliseconds, signal: new AbortController().signal };
    const change = new Change(this.#store, { name, judge: () => {}, patience }, leased);
    try {
      await change.open();
    } catch (err) {
      // Its holder may write all the same: the next start takes what is there for another version.
      this.#store.states.leaveOpen(name);
      this.#store.report('a lease ended: the tree could not be locked for it', { region: name, owner, err });
      change.end();
      return undefined;
    }
    change.resume();
    change.detach();
    await this.#store.directWrites.exclude(inodeOf(change.region));
    return change;
  }

  // Whoever has one stores to the file through a mapping, beside which none is written directly.
  async #begin(change: Change): Promise<void> {
    const inode = inodeOf(change.region);
    await this.#store.directWrites.exclude(inode);
    try {
      await change.begin();
      change.detach();
    } catch (error) {
      this.#store.directWrites.readmit(inode);
      throw error;
    }
  }

  #find(id: string): Held {
    const held = this.#held.get(id);
    if (!held) throw new Refusal('lease-not-found', 'It has ended, or never was.');
    return held;
  }

  #expireAfter(id: string, seconds: number): NodeJS.Timeout {
    return setTimeout(() => this.#expire(id), seconds * 1000).unref();
  }

  // Its holder may still write: what was read up to now is another version than what is read from now on.
  #expire(id: string): void {
    const held = this.#find(id);
    this.expired++;
    held.change.moveAgain();
    this.release(id);
    this.#store.report('a lease ended by its time', { region: held.lease.region, owner: held.lease.owner });
  }
}

/** So long other services may keep a lease from going on here. */
const mostMilliseconds = 10_000;

function expiry(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}
