import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Plan } from '../../range/plan.ts';
import type { Region } from '../../region/region.ts';
import type { TreeLock } from '../../region/tree-lock.ts';
import { type Claim, type Relay, SystemError } from '../../relay/relay.ts';
import { ProblemError } from '../problem/problems.ts';
import type { Outgoing } from './outgoing.ts';

/** What waiting needs. */
export type Waiting = {
  readonly outgoing: Outgoing;
  readonly lock: TreeLock | undefined;
  /** Seconds that a reader waits, in all, before it is refused: many clients take a refusal for the end, or for bytes. */
  readonly maxWait: number;
};

/** One reader's waiting: in the queue for its pages, and for other services. */
export class BehindWriters {
  /** Had, and not yet exchanged for a reference. */
  place: Claim | undefined;
  readonly #relay: Relay;
  readonly #lock: TreeLock | undefined;
  readonly #response: unknown;
  readonly #maxWait: number;
  #deadline: number | undefined;

  /** @param response that of an HTTP/1 connection ends the waiting when its client goes away */
  constructor({ outgoing, lock, maxWait }: Waiting, response: ServerResponse) {
    this.#relay = outgoing.relay;
    this.#lock = lock;
    this.#response = response;
    this.#maxWait = maxWait;
  }

  /**
   * Waits until the writers that came before have had the pages of a plan. The region has to be judged again then.
   *
   * @throws ProblemError `region-leased` after `maxWait`, or when the client is gone
   */
  async writersOf(region: Region, plan: Plan): Promise<void> {
    this.leave();
    const place = this.#placeFor(region, plan);
    if (!place) return;
    this.place = place;
    const ended = new AbortController();
    try {
      await Promise.race([place.granted, this.#patience(ended.signal)]);
    } finally {
      ended.abort();
    }
  }

  // None where the region was closed meanwhile: it is to be found again.
  #placeFor(region: Region, plan: Plan): Claim | undefined {
    try {
      return this.#relay.place(region.content.generation, plan.segments);
    } catch (error) {
      if (error instanceof SystemError && (error.code === 'ESTALE' || error.code === 'EBADF')) return undefined;
      throw error;
    }
  }

  /** Waits until no other service changes bytes of the tree. @throws ProblemError `region-leased` */
  async otherService(): Promise<void> {
    const ended = new AbortController();
    try {
      await Promise.race([this.#lock?.shared(), this.#patience(ended.signal)]);
    } finally {
      ended.abort();
    }
  }

  /** Gives up a place that was not used. */
  leave(): void {
    if (this.place) this.#relay.endPlace(this.place);
    this.place = undefined;
  }

  async #patience(signal: AbortSignal): Promise<never> {
    this.#deadline ??= performance.now() + this.#maxWait * 1000;
    while (performance.now() < this.#deadline && !this.#isGone()) {
      const left = Math.max(1, this.#deadline - performance.now());
      await delay(Math.min(left, 250), undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return await new Promise<never>(() => {});
    }
    throw new ProblemError('region-leased');
  }

  #isGone(): boolean {
    return (this.#response as { destroyed?: boolean }).destroyed === true;
  }
}
