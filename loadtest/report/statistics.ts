/** The middle and the ends of what several rounds gave. @module */

/** Median, and the smallest and the largest value. */
export type Spread = { readonly median: number; readonly min: number; readonly max: number };

/** The middle value, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  if (sorted.length % 2 === 1) return upper;
  return (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** How far values lie apart. */
export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Values of one list over those of another, pair by pair: what changed between rounds cancels out. */
export function ratios(over: readonly number[], under: readonly number[]): number[] {
  return over.slice(0, under.length).map((value, at) => value / (under[at] ?? Number.NaN));
}
