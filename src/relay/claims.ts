/** Claims on pages: writers' leases, and readers' places in the queue behind them. @module */
import { DurationCounts } from './durations.ts';
import { flatten, type Segment } from './extent.ts';
import { checked, checkedObject, type Handle } from './handle.ts';
import { Press } from './press.ts';
import type { Claim, Generation, Needs } from './relay.ts';
import type { ShimClaim } from './shim.ts';

// enum pr_needs
const needsNumbers: Readonly<Record<Needs, number>> = { done: 0, accepted: 1, nothing: 2 };

/** Claims of a relay, and who waits for one. */
export class Claims {
  /** How long those have waited who had to. */
  readonly waits = { writer: new DurationCounts(), reader: new DurationCounts() };
  readonly #handle: Handle;
  readonly #granted = new Map<number, (granted: boolean) => void>();
  readonly #press: Press;

  /** @param breakHolds seconds that a writer waits for a reference before it is broken off */
  constructor(handle: Handle, breakHolds: number) {
    this.#handle = handle;
    this.#press = new Press(() => handle.act('press', Math.ceil(breakHolds * 1000)));
  }

  /** A reader's place in the queue. @throws SystemError */
  place(generation: Generation, segments: readonly Segment[]): Claim {
    const claim = this.#handle.shim.place(this.#handle.relay, generation.id, flatten(segments));
    return this.#claim(checkedObject(claim, 'place'), 'reader');
  }

  endPlace(place: Claim): void {
    this.settle(place.id, false);
    this.#handle.act('endPlace', place.id);
  }

  /**
   * Asks for a lease on the pages of `length` bytes from `offset`; Infinity for all that follow. It ends by `endLease`,
   * also while it waits.
   *
   * @throws SystemError: ESTALE, EBADF when the generation is closed; EBUSY when pages are quarantined; EAGAIN when it
   * can't be had at once and `wait` is false
   */
  lease(generation: Generation, offset: number, length: number, needs: Needs, wait = true): Claim {
    const bytes = length === Number.POSITIVE_INFINITY ? Number.MAX_SAFE_INTEGER : length;
    const claim = this.#handle.shim.lease(this.#handle.relay, generation.id, offset, bytes, needs, wait);
    return this.#asked(checkedObject(claim, 'lease'));
  }

  /**
   * Has readers who have not been sent bytes of a lease's pages yet go on with a copy of the old ones, where that can be had.
   * It needs `nothing` yet, and must not end before this resolves.
   */
  async keepUnsent(lease: Claim): Promise<void> {
    if (this.#handle.isClosed) return; // `waitFor` says so.
    await this.#handle.reads.follow(Promise.resolve(this.#handle.shim.keepUnsent(this.#handle.relay, lease.id)));
  }

  /**
   * Has a lease that needed `nothing` wait for what it does need, but for bytes that are kept.
   *
   * @throws SystemError: EBUSY when pages are quarantined, EUSERS when too many wait; the lease is gone then
   */
  waitFor(lease: Claim, needs: Needs): Claim {
    const result = this.#handle.act('waitLease', lease.id, needsNumbers[needs]);
    return this.#asked({ id: lease.id, granted: checked(result, 'waitFor') === 1 });
  }

  /** Bytes are about to change, or may have: the version moves. Gives the new one. */
  beginLease(lease: Claim, epoch: number): number {
    return checked(this.#handle.act('beginLease', lease.id, epoch), 'beginLease');
  }

  /** The file's size or time is about to change, but no byte that is served: the version stays. */
  touchLease(lease: Claim): void {
    checked(this.#handle.act('touchLease', lease.id), 'touchLease');
  }

  /** Ends a lease. With `isOurs`, what was done to the file under it is not taken for a change by others. */
  endLease(lease: Claim, isOurs = false): void {
    this.settle(lease.id, false);
    this.#handle.act('endLease', lease.id, isOurs ? 1 : 0);
  }

  /** The relay has ended: nobody gets what they wait for. */
  close(): void {
    for (const id of [...this.#granted.keys()]) this.settle(id, false);
  }

  #asked(claim: ShimClaim): Claim {
    const made = this.#claim(claim, 'writer');
    if (!made.atOnce) this.#press.whilst(made.granted);
    return made;
  }

  #claim({ id, granted }: ShimClaim, who: 'writer' | 'reader'): Claim {
    if (granted) return { id, atOnce: true, granted: Promise.resolve(true) };
    const began = performance.now();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#granted.set(id, (had) => {
      this.waits[who].add((performance.now() - began) / 1000);
      resolve(had);
    });
    return { id, atOnce: false, granted: promise };
  }

  /** The shim tells of one, or it has ended. */
  settle(id: number, granted: boolean): void {
    const resolve = this.#granted.get(id);
    this.#granted.delete(id);
    resolve?.(granted);
  }
}
