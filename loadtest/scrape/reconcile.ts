/** Whether a service's counters add up with what its clients saw. @module */
import type { Fault } from '../clients/job.ts';
import type { ClientResult } from '../clients/tally.ts';
import type { MetricsText } from './parse.ts';
import type { Snapshot } from './scraper.ts';

/** All that was asked of a service between two scrapes. */
export type Seen = ReturnType<typeof seenBy>;

/** What several clients saw, and a writer: its overwrites by their status. */
export function seenBy(results: readonly ClientResult[], writes: Readonly<Record<string, number>> = {}) {
  const sum = (value: (result: ClientResult) => number) => results.reduce((total, result) => total + value(result), 0);
  const byStatus = (method: string) => {
    const told = results.flatMap((each) => (each.method === method ? Object.entries(each.statuses) : []));
    const counted: Record<string, number> = {};
    for (const [status, count] of told) counted[status] = (counted[status] ?? 0) + count;
    return counted;
  };
  const GET = byStatus('GET');
  const aborted = {
    requests: sum((result) => result.aborted.requests),
    bytes: sum((result) => result.aborted.bytes),
    askedBytes: sum((result) => result.aborted.askedBytes),
  };
  // Those that came whole.
  const bodies = (GET[200] ?? 0) + (GET[206] ?? 0) - aborted.requests;
  return { bodies, bytes: sum(({ bytes }) => bytes), statuses: { GET, HEAD: byStatus('HEAD'), PUT: writes }, aborted };
}

type Labels = Readonly<Record<string, string>>;

/** Gauges that are zero when nothing is asked for any more. */
export const zeroGauges = [
  'pagerelay_references',
  'pagerelay_transmissions_in_flight',
  'pagerelay_held_bytes',
  'pagerelay_quarantined_references',
  'pagerelay_quarantined_bytes',
  'pagerelay_broken_off_connections',
  'pagerelay_waiting_writers',
  'pagerelay_waiting_readers',
] as const;

/** Without them there is nothing to compare. */
const needed = ['pagerelay_http_requests_total', 'pagerelay_sent_bytes_total', 'pagerelay_transmissions_total'];

/** All that does not add up. Broken-off responses leave a range open: what the socket took and nobody read. */
export function mismatches(
  { metrics: before, gets }: Snapshot,
  { metrics: after, ...now }: Snapshot,
  seen: Seen,
): Fault[] {
  const missing = [...needed, 'pagerelay_references'].filter((name) => !after.types.has(name));
  if (missing.length > 0) return [{ kind: 'bad-metrics', detail: `/metrics lacks ${missing.join(', ')}` }];
  const wrong: Fault[] = [];
  const check = (name: string, labels: Labels, [least, most = least]: readonly [number, number?], what: string) => {
    const counted = after.sum(name, labels) - before.sum(name, labels);
    if ((!after.has(name) && most === 0) || (counted >= least && counted <= most)) return;
    const saw = least === most ? `${least}` : `${least} to ${most}`;
    const off = counted > most ? `${counted - most} too many` : `${least - counted} too few`;
    const detail = `${nameOf(name, labels)} counted ${counted}, the clients saw ${saw} ${what} (${off})`;
    wrong.push({ kind: 'metrics-mismatch', detail });
  };
  const { bodies, bytes, aborted } = seen;
  const all = bodies + aborted.requests;
  check('pagerelay_sent_bytes_total', {}, [bytes + aborted.bytes, bytes + aborted.askedBytes], 'bytes of bodies');
  check('pagerelay_transmissions_total', {}, [all], 'bodies');
  check('pagerelay_transmissions_total', { outcome: 'complete' }, [bodies, all], 'whole bodies');
  check('pagerelay_transmissions_total', { outcome: 'aborted' }, [0, aborted.requests], 'bodies broken off');
  check('pagerelay_hold_seconds_count', {}, [all], 'bodies');
  for (const [method, statuses] of Object.entries(seen.statuses)) {
    const scrapes = method === 'GET' ? now.gets - gets : 0;
    const told = after.samples('pagerelay_http_requests_total', { method }).map(({ labels }) => labels.status ?? '');
    for (const status of new Set([...Object.keys(statuses), ...told])) {
      const expected = (statuses[status] ?? 0) + (status === '200' ? scrapes : 0);
      check('pagerelay_http_requests_total', { method, status }, [expected], 'answers');
    }
  }
  return [...wrong, ...fallen(before, after)];
}

/** Gauges that are not zero. */
export function heldBack({ metrics }: Snapshot): Fault[] {
  return zeroGauges.flatMap((name) => {
    const value = metrics.sum(name);
    return value === 0 ? [] : [{ kind: 'gauge-not-zero' as const, detail: `${name} is ${value}, not 0` }];
  });
}

// A counter that goes down has been reset: the service was started anew, or counts wrongly.
function fallen(before: MetricsText, after: MetricsText): Fault[] {
  return [...before.counters()].flatMap(({ name, labels, value }) => {
    const now = after.samples(name, labels)[0]?.value;
    if (now !== undefined && now >= value) return [];
    const detail = `${nameOf(name, labels)} went from ${value} to ${now ?? 'nothing'}, and counters never go down`;
    return [{ kind: 'metrics-mismatch' as const, detail }];
  });
}

function nameOf(name: string, labels: Labels): string {
  const text = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return text.length === 0 ? name : `${name}{${text.join(',')}}`;
}
