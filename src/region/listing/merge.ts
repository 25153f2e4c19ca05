import { compareBytes, firstFrom } from './byte-order.ts';

type Head = { readonly run: readonly string[]; at: number; key: string };

/** Gives what several sorted arrays have from a bound on, in one order: a binary heap of the first of each. */
export class Merge {
  readonly #heads: Head[] = [];
  #last: string | undefined;

  constructor(runs: readonly (readonly string[])[], from: string) {
    for (const run of runs) {
      const at = firstFrom(run, from);
      const key = run[at];
      if (key !== undefined) this.#heads.push({ run, at, key });
    }
    for (let place = (this.#heads.length >> 1) - 1; place >= 0; place--) this.#sink(place);
  }

  /** The next key that is not the last one again: names that are no UTF-8 are read as one and the same. */
  next(): string | undefined {
    let key = this.#take();
    while (key !== undefined && key === this.#last) key = this.#take();
    this.#last = key;
    return key;
  }

  #take(): string | undefined {
    const [first] = this.#heads;
    if (!first) return undefined;
    const { key } = first;
    const following = first.run[++first.at];
    if (following !== undefined) first.key = following;
    else this.#removeFirst();
    this.#sink(0);
    return key;
  }

  #removeFirst(): void {
    const last = this.#heads.pop();
    if (last && this.#heads.length > 0) this.#heads[0] = last;
  }

  #sink(from: number): void {
    for (let place = from; ; ) {
      const least = this.#leastOf(place);
      if (least === place) return;
      [this.#heads[place], this.#heads[least]] = [this.#heads[least] as Head, this.#heads[place] as Head];
      place = least;
    }
  }

  // Gives the least of a place in the heap and the two below it.
  #leastOf(place: number): number {
    let least = place;
    for (const child of [2 * place + 1, 2 * place + 2]) {
      const [lower, upper] = [this.#heads[child], this.#heads[least]];
      if (lower && upper && compareBytes(lower.key, upper.key) < 0) least = child;
    }
    return least;
  }
}
