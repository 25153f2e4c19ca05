/** The end of a load, as the service sees it. @module */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from '../clients/job.ts';
import type { Scraper, Snapshot } from './scraper.ts';

const pollMilliseconds = 50;

/** How long a service has to let everything go, and what ends the waiting. */
export type Patience = { readonly settleSeconds: number; readonly signal: AbortSignal };

/**
 * Waits until nothing is wrong, at most so long: answers are counted, and pages let go, shortly after a client has its
 * last byte. Returns what is still wrong then, and the last scrape.
 */
export async function settle(
  scraper: Scraper,
  judge: (now: Snapshot) => readonly Fault[],
  { settleSeconds, signal }: Patience,
): Promise<{ readonly faults: readonly Fault[]; readonly last: Snapshot }> {
  const deadline = performance.now() + settleSeconds * 1000;
  for (;;) {
    await scraper.look();
    const last = await scraper.snapshot();
    const faults = judge(last).map((fault) => ({ ...fault, detail: `${fault.detail}, ${settleSeconds} s after` }));
    if (faults.length === 0 || performance.now() > deadline) return { faults, last };
    await delay(pollMilliseconds, undefined, { signal });
  }
}
