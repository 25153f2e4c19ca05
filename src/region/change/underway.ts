/** Changes that are on their way: they have ended before the store is closed. */
export class Underway {
  /** Overwrites in place that ended so. */
  readonly overwrites = { done: 0, failed: 0 };
  readonly #changes = new Set<Promise<unknown>>();
  #isClosing = false;

  /** Nothing new is begun. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  async track<Result>(change: Promise<Result>): Promise<Result> {
    this.#changes.add(change);
    try {
      return await change;
    } finally {
      this.#changes.delete(change);
    }
  }

  /** Resolves when none is on its way. */
  async settled(): Promise<void> {
    this.#isClosing = true;
    await Promise.allSettled(this.#changes);
  }
}
