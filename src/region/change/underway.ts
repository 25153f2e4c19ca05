import { Pending } from '../../relay/pending.ts';

/** Changes that are on their way: they have ended before the store is closed. */
export class Underway {
  /** Overwrites in place that ended so. */
  readonly overwrites = { done: 0, failed: 0 };
  readonly #changes = new Pending();
  #isClosing = false;

  /** Nothing new is begun. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  track<Result>(change: Promise<Result>): Promise<Result> {
    return this.#changes.follow(change);
  }

  /** Resolves when none is on its way. */
  async settled(): Promise<void> {
    this.#isClosing = true;
    await this.#changes.ended();
  }
}
