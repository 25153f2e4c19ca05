/** Telling lanes of regions before anybody asks for them (docs/express.md). @module */
import { setTimeout as delay } from 'node:timers/promises';
import type { Unopened } from '../../region/region.ts';
import { SystemError } from '../../relay/relay.ts';
import { isSettled } from './settled.ts';

/** Milliseconds: what was left out is looked at again after these, and after that it is left to who asks for it. */
const usualPause = 4000;

/** Goes over all regions in slices that leave the event loop to others, once each time that it is started. */
export class Filling {
  readonly #unopened: () => AsyncIterable<readonly Unopened[]>;
  readonly #publish: (region: Unopened) => boolean;
  readonly #onFault: (error: unknown) => void;
  readonly #pause: number;
  #current = new AbortController();

  /**
   * @param publish tells lanes of one; false when they take no more
   * @param onFault is told of what ended it, but for regions that could not be looked at
   * @param pause milliseconds, for tests
   */
  constructor(
    unopened: () => AsyncIterable<readonly Unopened[]>,
    publish: (region: Unopened) => boolean,
    onFault: (error: unknown) => void,
    pause = usualPause,
  ) {
    this.#unopened = unopened;
    this.#publish = publish;
    this.#onFault = onFault;
    this.#pause = pause;
  }

  /** From the beginning. Resolves when all were told of, or this was started again or stopped, or could not go on. */
  async start(): Promise<void> {
    this.stop();
    this.#current = new AbortController();
    const { signal } = this.#current;
    try {
      if (await this.#fill(signal)) return;
      await delay(this.#pause, undefined, { signal, ref: false });
      await this.#fill(signal);
    } catch (error) {
      // Whoever asks for what could not be looked at is told why. Nobody waits for a fault: Node answers for all regions.
      if (!(error instanceof SystemError) && !signal.aborted) this.#onFault(error);
    }
  }

  stop(): void {
    this.#current.abort();
  }

  // Whether nothing was left out.
  async #fill(signal: AbortSignal): Promise<boolean> {
    let isAll = true;
    for await (const regions of this.#unopened()) {
      for (const region of regions) {
        if (!isSettled(region.file)) isAll = false;
        else if (!signal.aborted && !this.#publish(region)) return true;
      }
      if (signal.aborted) return true;
    }
    return isAll;
  }
}
