import { setImmediate } from 'node:timers/promises';

/** How long one turn of the event loop may work on something that can wait. */
const sliceMilliseconds = 4;

/** Long work in slices, between which the event loop serves others. */
export class Slices {
  #began = performance.now();

  /** Whether the others have waited long enough: then `rest` is to be awaited. */
  get isOver(): boolean {
    return performance.now() - this.#began >= sliceMilliseconds;
  }

  /** Lets the others have their turn. */
  async rest(): Promise<void> {
    await setImmediate();
    this.#began = performance.now();
  }
}
