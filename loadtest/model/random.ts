/** Chance that can be had again: the same seed asks every peer for the same ranges. @module */

/** Numbers from 0 to 1, without 1. */
export type Random = () => number;

/** mulberry32, a small generator of 32 bits of state: even enough to pick pages. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number from 0 to `count - 1`. */
export function pick(random: Random, count: number): number {
  return Math.floor(random() * count);
}

/** Picks ranks from 0 to `count - 1`: rank r about 1 / (r + 1) as often as rank 0. */
export function zipf(random: Random, count: number): () => number {
  // Inverts the continuous distribution: no table, however many ranks.
  const scale = Math.log(count + 1);
  return () => Math.min(count - 1, Math.floor(Math.exp(random() * scale)) - 1);
}

/** A prime: it shares no divisor with any smaller count. */
const scattering = 2_654_435_761;

/** The same numbers in another order that looks like chance: hot ranges are not neighbours. */
export function scatter(rank: number, count: number): number {
  return (rank * scattering) % count;
}
