/** Bandwidth of bodies that are read here: what lanes send is theirs to hold back (native-shim/core/wire/pace.h). @module */
import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { type FileKey, fileKeyOf } from './file-identity.ts';
import type { FileIdentity } from './relay.ts';

/** Milliseconds: so much time's bytes may go out at once. */
const burst = 200;
const leastAtOnce = 1024;
const mostAtOnce = 64 * 1024;

/** So many regions are remembered that were asked for last. */
const mostRegions = 4096;

/** Bytes at a rate; what is taken moves the time at which all of it is paid for. */
export class Bucket {
  readonly rate: number;
  #paidAt = Number.NEGATIVE_INFINITY;

  /** @param rate bytes a second */
  constructor(rate: number) {
    this.rate = rate;
  }

  /** Milliseconds until something may be taken. */
  wait(now = performance.now()): number {
    return Math.max(0, this.#paidAt - now);
  }

  /** So many bytes are taken, be they there or not. */
  take(bytes: number, now = performance.now()): void {
    this.#paidAt = Math.max(this.#paidAt, now - burst) + (bytes / this.rate) * 1000;
  }
}

/** What one body goes out of. */
export class Pace {
  readonly #buckets: readonly Bucket[];
  #onWait: (() => void) | undefined;
  /** How many bytes to read at a time. */
  readonly atOnce: number;
  /** Whether it waits just now: nobody is slow then. */
  isWaiting = false;

  /** @param onWait is told once, when it has to wait */
  constructor(buckets: readonly Bucket[], onWait: () => void) {
    this.#buckets = buckets;
    this.#onWait = onWait;
    const slowest = Math.min(...buckets.map(({ rate }) => rate / 10), mostAtOnce);
    this.atOnce = Math.floor(Math.max(leastAtOnce, slowest));
  }

  /** Resolves when more may go out. The process does not stay for it. */
  async ready(): Promise<void> {
    for (let wait = this.#wait(); wait > 0; wait = this.#wait()) {
      this.isWaiting = true;
      this.#onWait?.();
      this.#onWait = undefined;
      await delay(Math.ceil(wait), undefined, { ref: false });
    }
    this.isWaiting = false;
  }

  sent(bytes: number): void {
    for (const bucket of this.#buckets) bucket.take(bytes);
  }

  #wait(): number {
    const now = performance.now();
    return Math.max(0, ...this.#buckets.map((bucket) => bucket.wait(now)));
  }
}

/** The buckets of connections and regions. */
export class Paces {
  readonly #perConnection: number;
  readonly #perRegion: number;
  readonly #connections = new WeakMap<object, Bucket>();
  /** By the file, whose generations are many while it is overwritten. */
  readonly #regions = new LRUCache<FileKey, Bucket>({ max: mostRegions });
  /** Is told of each body that has to wait. */
  onWait = () => {};

  /** Bytes a second; 0: any number. */
  constructor({ bandwidthPerConnection = 0, bandwidthPerRegion = 0 }: PacedLimits = {}) {
    this.#perConnection = bandwidthPerConnection;
    this.#perRegion = bandwidthPerRegion;
  }

  /** @returns undefined where nothing is limited */
  of(connection: object | null, file: Pick<FileIdentity, 'device' | 'inode'>): Pace | undefined {
    const buckets: Bucket[] = [];
    if (this.#perConnection > 0 && connection)
      buckets.push(bucketOf(this.#connections, connection, this.#perConnection));
    if (this.#perRegion > 0) buckets.push(bucketOf(this.#regions, fileKeyOf(file), this.#perRegion));
    return buckets.length > 0 ? new Pace(buckets, () => this.onWait()) : undefined;
  }
}

/** Those of the limits that are bandwidths. */
export type PacedLimits = { readonly bandwidthPerConnection?: number; readonly bandwidthPerRegion?: number };

type Buckets<Of> = { get(of: Of): Bucket | undefined; set(of: Of, bucket: Bucket): unknown };

function bucketOf<Of>(buckets: Buckets<Of>, of: Of, rate: number): Bucket {
  const known = buckets.get(of);
  if (known) return known;
  const made = new Bucket(rate);
  buckets.set(of, made);
  return made;
}
