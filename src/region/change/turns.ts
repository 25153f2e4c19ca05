/** Work that concerns one name happens one after the other. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Whether nothing is under way under this name. */
  isFree(name: string): boolean {
    return !this.#last.has(name);
  }

  /** Runs `act` when all that was asked for before under this name has ended, one way or the other. */
  async take<Result>(name: string, act: () => Promise<Result>): Promise<Result> {
    const before = this.#last.get(name) ?? Promise.resolve();
    const mine = before.then(act, act);
    const settled = mine.catch(() => {});
    this.#last.set(name, settled);
    try {
      return await mine;
    } finally {
      if (this.#last.get(name) === settled) this.#last.delete(name);
    }
  }
}
