/** Whether a service's counters add up with what its clients saw. @module */
import type { ClientResult, Fault } from '../clients/job.ts';
import type { MetricsText } from './parse.ts';
import type { Snapshot } from './scraper.ts';

/** All that was asked of a service between two scrapes. */
export type Seen = {
  /** Bodies that came whole, and their bytes. */
  readonly bodies: number;
  readonly bytes: number;
  /** Answers by method and status. */
  readonly statuses: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly aborted: ClientResult['aborted'];
};

/** What several clients saw, and a writer: its overwrites by their status. */
export function seenBy(results: readonly ClientResult[], writes: Readonly<Record<string, number>> = {}): Seen {
  const add = (values: readonly number[]) => values.reduce((total, each) => total + each, 0);
  const sum = (value: (result: ClientResult) => number) => add(results.map(value));
  const byStatus = (method: string) => {
    const own = results.filter((result) => result.method === method);
    const all = [...new Set(own.flatMap((result) => Object.keys(result.statuses)))];
    return Object.fromEntries(all.map((status) => [status, add(own.map((result) => result.statuses[status] ?? 0))]));
  };
  const GET = byStatus('GET');
  const aborted = {
    requests: sum((result) => result.aborted.requests),
    bytes: sum((result) => result.aborted.bytes),
    askedBytes: sum((result) => result.aborted.askedBytes),
  };
  const bodies = (GET[200] ?? 0) + (GET[206] ?? 0) - aborted.requests;
  return { bodies, bytes: sum(({ bytes }) => bytes), statuses: { GET, HEAD: byStatus('HEAD'), PUT: writes }, aborted };
}

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
export function mismatches(before: Snapshot, after: Snapshot, seen: Seen): Fault[] {
  const missing = [...needed, 'pagerelay_references'].filter((name) => !after.metrics.types.has(name));
  if (missing.length > 0) return [{ kind: 'bad-metrics', detail: `/metrics lacks ${missing.join(', ')}` }];
  const check = new Check(before.metrics, after.metrics);
  const { bodies, bytes, aborted } = seen;
  const [least, most] = [bytes + aborted.bytes, bytes + aborted.askedBytes];
  check.between('pagerelay_sent_bytes_total', {}, least, most, 'bytes of bodies');
  const all = bodies + aborted.requests;
  check.between('pagerelay_transmissions_total', {}, all, all, 'bodies');
  check.between('pagerelay_transmissions_total', { outcome: 'complete' }, bodies, all, 'whole bodies');
  check.between('pagerelay_transmissions_total', { outcome: 'aborted' }, 0, aborted.requests, 'bodies broken off');
  check.between('pagerelay_hold_seconds_count', {}, all, all, 'bodies');
  const scrapes = after.gets - before.gets;
  for (const [method, statuses] of Object.entries(seen.statuses)) {
    const own = method === 'GET' ? { ...statuses, 200: (statuses[200] ?? 0) + scrapes } : statuses;
    checkStatuses(check, method, own);
  }
  return [...check.faults, ...fallen(before.metrics, after.metrics)];
}

/** Gauges that are not zero. */
export function heldBack({ metrics }: Snapshot): Fault[] {
  return zeroGauges.flatMap((name) => {
    const value = metrics.sum(name);
    return value === 0 ? [] : [{ kind: 'gauge-not-zero' as const, detail: `${name} is ${value}, not 0` }];
  });
}

function checkStatuses(check: Check, method: string, expected: Readonly<Record<string, number>>): void {
  for (const status of new Set([...Object.keys(expected), ...check.statusesOf(method)])) {
    const count = expected[status] ?? 0;
    check.between('pagerelay_http_requests_total', { method, status }, count, count, 'answers');
  }
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

class Check {
  readonly faults: Fault[] = [];
  readonly #before: MetricsText;
  readonly #after: MetricsText;

  constructor(before: MetricsText, after: MetricsText) {
    this.#before = before;
    this.#after = after;
  }

  between(name: string, labels: Readonly<Record<string, string>>, least: number, most: number, what: string): void {
    if (!this.#after.has(name) && most === 0) return;
    const counted = this.#after.sum(name, labels) - this.#before.sum(name, labels);
    if (counted >= least && counted <= most) return;
    const saw = least === most ? `${least}` : `${least} to ${most}`;
    const detail = `${nameOf(name, labels)} counted ${counted}, the clients saw ${saw} ${what} (${signed(counted, least, most)})`;
    this.faults.push({ kind: 'metrics-mismatch', detail });
  }

  statusesOf(method: string): string[] {
    return this.#after.samples('pagerelay_http_requests_total', { method }).map(({ labels }) => labels.status ?? '');
  }
}

function signed(counted: number, least: number, most: number): string {
  return counted > most ? `${counted - most} too many` : `${least - counted} too few`;
}

function nameOf(name: string, labels: Readonly<Record<string, string>>): string {
  const text = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return text.length === 0 ? name : `${name}{${text.join(',')}}`;
}
