/** What is under way, for whoever has to wait for its end. */
export class Pending {
  readonly #all = new Set<Promise<unknown>>();

  /** How many those are. */
  get size(): number {
    return this.#all.size;
  }

  /** Counts as one of them until it ends; resolves as it does. */
  async follow<Result>(act: Promise<Result>): Promise<Result> {
    this.#all.add(act);
    try {
      return await act;
    } finally {
      this.#all.delete(act);
    }
  }

  /** Resolves when all that are under way now have ended, one way or the other. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#all);
  }
}
