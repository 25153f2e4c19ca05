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
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    await scraper.look();
    const before = await scraper.snapshot();
    const faults = heldBack(before);
    if (faults.length === 0 || performance.now() > deadline) return { faults, before };
    await delay(pollMilliseconds, undefined, { signal });
  }
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
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    await scraper.look();
    const after = await scraper.snapshot();
    const faults = [...heldBack(after), ...mismatches(before, after, seen)];
    if (faults.length === 0) return { faults, after };
    if (performance.now() > deadline) {
      return { faults: faults.map((fault) => ({ ...fault, detail: `${fault.detail}, ${seconds} s after` })), after };
    }
    await delay(pollMilliseconds, undefined, { signal });
  }
}
