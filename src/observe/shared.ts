import { setImmediate } from 'node:timers/promises';

/** Makes one value for all who have asked before. Nobody gets a value that was made before they asked. */
export class Shared<Value> {
  readonly #make: () => Value | Promise<Value>;
  #next: Promise<Value> | undefined;

  constructor(make: () => Value | Promise<Value>) {
    this.#make = make;
  }

  /** The value as it is in the next turn of the event loop, when all requests of this turn have been looked at. */
  get(): Promise<Value> {
    this.#next ??= this.#makeSoon();
    return this.#next;
  }

  async #makeSoon(): Promise<Value> {
    await setImmediate();
    this.#next = undefined;
    return this.#make();
  }
}
