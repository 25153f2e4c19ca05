/** How long things took, counted by upper bounds. @module */

/** Upper bound in seconds (the last is Infinity) and how many took so long but longer than the bound before; their sum. */
export type Durations = {
  readonly buckets: readonly (readonly [bound: number, count: number])[];
  readonly sum: number;
};

/** The bounds of references and of waiting; those of the shim, where they are argued (native-shim/core/base/counters.h). */
export const holdBounds = [0.00002, 0.0001, 0.0005, 0.002, 0.01, 0.05, 0.25, 1, 5, 30, 120, 300] as const;

/** Counts durations. */
export class DurationCounts {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  /** @param bounds in seconds, ascending; one more without a limit is added */
  constructor(bounds: readonly number[] = holdBounds) {
    this.#bounds = [...bounds, Number.POSITIVE_INFINITY];
    this.#counts = this.#bounds.map(() => 0);
  }

  add(seconds: number): void {
    const bucket = this.#bounds.findIndex((bound) => seconds <= bound);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += seconds;
  }

  /** What was counted so far. */
  get counted(): Durations {
    return { buckets: this.#bounds.map((bound, at) => [bound, this.#counts[at] ?? 0] as const), sum: this.#sum };
  }
}
