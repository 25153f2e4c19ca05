/** Latencies counted in buckets that are at most 1.6 % wide: they add up over processes and rounds. @module */

/** `[lower bound, count]` of each bucket that is not empty, ascending. */
export type HistogramData = { readonly buckets: readonly (readonly [number, number])[]; readonly max: number };

const subBits = 6;
const subBuckets = 2 ** subBits;

/** Counts of whole numbers from 0 on. */
export class Histogram {
  readonly #counts = new Map<number, number>();
  #max = 0;

  static from(data: readonly HistogramData[]): Histogram {
    const all = new Histogram();
    for (const { buckets, max } of data) {
      for (const [bound, count] of buckets) all.#add(bound, count);
      all.#max = Math.max(all.#max, max);
    }
    return all;
  }

  record(value: number): void {
    this.#add(value, 1);
    this.#max = Math.max(this.#max, value);
  }

  get count(): number {
    return this.#sorted().reduce((sum, [, count]) => sum + count, 0);
  }

  get max(): number {
    return this.#max;
  }

  /** What at least `share` (0 to 1) of the values do not exceed, as its bucket's lower bound; NaN of none. */
  quantile(share: number): number {
    const sorted = this.#sorted();
    let left = share * sorted.reduce((sum, [, count]) => sum + count, 0);
    for (const [bound, count] of sorted) {
      left -= count;
      if (left <= 1e-9) return bound;
    }
    return sorted.at(-1)?.[0] ?? Number.NaN;
  }

  toJSON(): HistogramData {
    return { buckets: this.#sorted(), max: this.#max };
  }

  #add(value: number, count: number): void {
    const bound = bucketOf(value);
    this.#counts.set(bound, (this.#counts.get(bound) ?? 0) + count);
  }

  #sorted(): [number, number][] {
    return [...this.#counts].sort(([a], [b]) => a - b);
  }
}

/** The lower bound of the bucket of a value. */
export function bucketOf(value: number): number {
  const whole = Math.max(0, Math.round(value));
  if (whole < 2 * subBuckets) return whole;
  const width = 2 ** (Math.floor(Math.log2(whole)) - subBits);
  return Math.floor(whole / width) * width;
}
