/** The end of a load, as the service sees it. @module */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from '../clients/job.ts';
import { heldBack, mismatches, type Seen } from './reconcile.ts';
import type { Scraper, Snapshot } from './scraper.ts';

const pollMilliseconds = 50;

/** Waits until nothing is held: what was asked before then adds to no counter any more. @see settle */
export async function quiet(
  scraper: Scraper,
  seconds: number,
  signal: AbortSignal,
): Promise<{ readonly faults: Fault[]; readonly before: Snapshot }> {
  const { faults, last } = await untilRight(scraper, heldBack, seconds, signal);
  return { faults, before: last };
}

/**
 * Waits until the counters add up and nothing is held, at most so long: answers are counted, and pages let go, shortly
 * after a client has its last byte.
 *
 * @returns what is still wrong then
 */
export async function settle(
  scraper: Scraper,
  before: Snapshot,
  seen: Seen,
  seconds: number,
  signal: AbortSignal,
): Promise<{ readonly faults: Fault[]; readonly after: Snapshot }> {
  const judge = (now: Snapshot) => [...heldBack(now), ...mismatches(before, now, seen)];
  const { faults, last } = await untilRight(scraper, judge, seconds, signal);
  return { faults: faults.map((fault) => ({ ...fault, detail: `${fault.detail}, ${seconds} s after` })), after: last };
}

async function untilRight(
  scraper: Scraper,
  judge: (now: Snapshot) => Fault[],
  seconds: number,
  signal: AbortSignal,
): Promise<{ readonly faults: Fault[]; readonly last: Snapshot }> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    await scraper.look();
    const last = await scraper.snapshot();
    const faults = judge(last);
    if (faults.length === 0 || performance.now() > deadline) return { faults, last };
    await delay(pollMilliseconds, undefined, { signal });
  }
}
