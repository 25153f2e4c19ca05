/** What was wrong in a load. @module */
import type { ClientResult, Fault } from '../clients/job.ts';
import { heldBack, mismatches, seenBy } from '../scrape/reconcile.ts';
import type { Snapshot } from '../scrape/scraper.ts';
import { type Patience, settle } from '../scrape/settle.ts';
import type { WriteResult } from '../writer/writing.ts';
import type { Contender } from './contender.ts';
import { whyNoConnection } from './process.ts';

/** All that was, and whether the service's counters could be compared. */
export type Judgement = { readonly faults: readonly Fault[]; readonly isReconciled: boolean };

/** Asks clients, the writer, and the service's metrics; where a client failed, whether the server is still there. */
export async function judge(
  patience: Patience,
  contender: Contender,
  before: Snapshot | undefined,
  results: readonly ClientResult[],
  written: WriteResult | undefined,
): Promise<Judgement> {
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
