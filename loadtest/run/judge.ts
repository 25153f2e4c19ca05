/** What was wrong in a load, when the service has had time to count it and to let everything go. @module */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from '../clients/job.ts';
import type { ClientResult } from '../clients/tally.ts';
import type { WriteResult } from '../clients/writing.ts';
import { heldBack, mismatches, seenBy } from '../scrape/reconcile.ts';
import type { Scraper, Snapshot } from '../scrape/scraper.ts';
import type { Contender } from './contender.ts';
import { whyNoConnection } from './process.ts';

/** How long a service has to let everything go, and what ends the waiting. */
export type Patience = { readonly settleSeconds: number; readonly signal: AbortSignal };

const pollMilliseconds = 50;

/**
 * All that was, and whether the service's counters could be compared. Asks clients, the writer, and the service's
 * metrics; where a client failed, whether the server is still there.
 */
export async function judge(
  patience: Patience,
  contender: Contender,
  before: Snapshot | undefined,
  results: readonly ClientResult[],
  written: WriteResult | undefined,
): Promise<{ readonly faults: readonly Fault[]; readonly isReconciled: boolean }> {
  const faults = [...results.flatMap((result) => result.faults), ...writeFaults(written)];
  // What clients saw is then not all that was sent: there is nothing to compare.
  if (faults.length > 0) return { faults: [...(await goneFault(contender)), ...faults], isReconciled: false };
  const { scraper } = contender;
  if (!scraper || !before) return { faults, isReconciled: false };
  const seen = seenBy(results, written && { 204: written.written, 409: written.busy });
  const wrong = (now: Snapshot) => [...heldBack(now), ...mismatches(before, now, seen)];
  try {
    return { faults: (await settle(scraper, wrong, patience)).faults, isReconciled: true };
  } catch (error) {
    patience.signal.throwIfAborted();
    const gone = await goneFault(contender);
    const detail = error instanceof Error ? error.message : String(error);
    return { faults: gone.length > 0 ? gone : [{ kind: 'bad-metrics', detail }], isReconciled: false };
  }
}

function writeFaults(written: WriteResult | undefined): Fault[] {
  if (!written || written.errors === 0) return [];
  return [{ kind: 'failed-writes', detail: `${written.errors} overwrites failed, the first: ${written.firstError}` }];
}

/** A fault when nobody listens where the server was. */
export async function goneFault(contender: Pick<Contender, 'name' | 'origin' | 'socketPath'>): Promise<Fault[]> {
  const { name, origin, socketPath } = contender;
  const { hostname, port } = new URL(origin);
  const why = await whyNoConnection({ port: Number(port || 80), socketPath }, hostname.replace(/^\[|\]$/g, ''));
  const detail = `${name} died during the run: nobody listens on ${origin} any more (${why})`;
  return why === undefined ? [] : [{ kind: 'server-gone', detail }];
}

/**
 * Waits until nothing is wrong, at most so long: answers are counted, and pages let go, shortly after a client has its
 * last byte. Returns what is still wrong then, and the last scrape.
 */
export async function settle(
  scraper: Scraper,
  wrongIn: (now: Snapshot) => readonly Fault[],
  { settleSeconds, signal }: Patience,
): Promise<{ readonly faults: readonly Fault[]; readonly last: Snapshot }> {
  const deadline = performance.now() + settleSeconds * 1000;
  for (;;) {
    await scraper.look();
    const last = await scraper.snapshot();
    const faults = wrongIn(last).map((fault) => ({ ...fault, detail: `${fault.detail}, ${settleSeconds} s after` }));
    if (faults.length === 0 || performance.now() > deadline) return { faults, last };
    await delay(pollMilliseconds, undefined, { signal });
  }
}
