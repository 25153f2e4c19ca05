/** What was wrong in a load. @module */
import type { ClientResult, Fault } from '../clients/job.ts';
import { type Seen, seenBy } from '../scrape/reconcile.ts';
import type { Snapshot } from '../scrape/scraper.ts';
import { settle } from '../scrape/settle.ts';
import type { WriteResult } from '../writer/writing.ts';
import type { Contender } from './contender.ts';
import { whyNoConnection } from './process.ts';

/** All that was, and whether the service's counters could be compared. */
export type Judgement = { readonly faults: readonly Fault[]; readonly isReconciled: boolean };

/** How long a service has to let everything go, and what ends the waiting. */
export type Patience = { readonly settleSeconds: number; readonly signal: AbortSignal };

/** Asks clients, the writer, and the service's metrics; where a client failed, whether the server is still there. */
export async function judge(
  { settleSeconds, signal }: Patience,
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
  const seen: Seen = seenBy(results, written && { 204: written.written, 409: written.busy });
  try {
    const settled = await settle(scraper, before, seen, settleSeconds, signal);
    return { faults: settled.faults, isReconciled: true };
  } catch (error) {
    signal.throwIfAborted();
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
export async function goneFault({
  name,
  origin,
  socketPath,
}: Pick<Contender, 'name' | 'origin' | 'socketPath'>): Promise<Fault[]> {
  const { hostname, port } = new URL(origin);
  const why = await whyNoConnection({ port: Number(port || 80), socketPath }, hostname.replace(/^\[|\]$/g, ''));
  if (why === undefined) return [];
  return [
    { kind: 'server-gone', detail: `${name} died during the run: nobody listens on ${origin} any more (${why})` },
  ];
}
