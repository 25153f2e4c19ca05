/** Reads a service's metrics while it is under load, and remembers what goes into charts. @module */
import { Client } from 'undici';
import type { Contact } from '../clients/job.ts';
import { BadMetrics, type MetricsText, parseMetrics } from './parse.ts';

/** What one scrape says of the things that are drawn. */
export type ScrapePoint = ReturnType<typeof pointOf>;

/** One scrape, and how many requests the scraper itself had made before it, all answered with 200. */
export type Snapshot = { readonly metrics: MetricsText; readonly gets: number; readonly point: ScrapePoint };

const timeoutMilliseconds = 10_000;
const everyMilliseconds = 1000;

/** Scrapes one service. One request at a time: what it adds to the service's own counts can be told. */
export class Scraper {
  readonly points: ScrapePoint[] = [];
  readonly #client: Client;
  readonly #origin: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #clock: () => number;
  #gets = 0;
  #before: MetricsText | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  /** @param clock seconds from the start of the run */
  constructor(
    { origin, socketPath }: Pick<Contact, 'origin' | 'socketPath'>,
    headers: Readonly<Record<string, string>>,
    clock: () => number,
  ) {
    const times = { headersTimeout: timeoutMilliseconds, bodyTimeout: timeoutMilliseconds };
    const connect = { timeout: timeoutMilliseconds, ...(socketPath !== undefined && { socketPath }) };
    this.#client = new Client(origin, { ...times, connect });
    this.#origin = origin;
    this.#headers = headers;
    this.#clock = clock;
  }

  /** Scrapes every second from now on; once is enough. What fails is told by the next `snapshot`. */
  start(): void {
    this.#timer ??= setInterval(() => void this.snapshot().catch(() => {}), everyMilliseconds);
  }

  /** Until it is started again. */
  pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async end(): Promise<void> {
    this.pause();
    await this.#last.catch(() => {});
    await this.#client.destroy();
  }

  /** @throws BadMetrics; what undici throws */
  snapshot(): Promise<Snapshot> {
    return this.#inTurn(async () => {
      const gets = this.#gets;
      const at = this.#clock();
      const metrics = parseMetrics(await this.#get('/metrics'));
      const point = pointOf(this.#origin, this.#before, metrics, at);
      this.#before = metrics;
      this.points.push(point);
      return { metrics, gets, point };
    });
  }

  /** Has the service look at what is done (looking is lazy: docs/done.md). */
  look(): Promise<void> {
    return this.#inTurn(async () => void (await this.#get('/references')));
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work, work);
    this.#last = result;
    return result;
  }

  async #get(path: string): Promise<string> {
    const { statusCode, body } = await this.#client.request({ method: 'GET', path, headers: this.#headers });
    const text = await body.text();
    if (statusCode !== 200) throw new BadMetrics(`GET ${path}: status ${statusCode}`);
    this.#gets++;
    return text;
  }
}

function pointOf(origin: string, before: MetricsText | undefined, metrics: MetricsText, at: number) {
  const engines = metrics.samples('pagerelay_sent_bytes_total');
  return {
    /** Which service: several of one name have their turns. */
    origin,
    /** Seconds from the start of the run. */
    at,
    references: metrics.sum('pagerelay_references'),
    heldBytes: metrics.sum('pagerelay_held_bytes'),
    quarantinedBytes: metrics.sum('pagerelay_quarantined_bytes'),
    connections: metrics.sum('pagerelay_connections'),
    sentBytes: Object.fromEntries(engines.map(({ labels, value }) => [labels.engine ?? '', value])),
    expressRequests: metrics.sum('pagerelay_express_requests_total'),
    residentBytes: metrics.sum('process_resident_memory_bytes'),
    /** Of the service's process, since it began. */
    cpuSeconds: metrics.sum('process_cpu_seconds_total'),
    /** Since the last scrape; undefined where the service does not tell. */
    eventLoopDelayMilliseconds: eventLoopDelay(before, metrics),
  };
}

const family = 'pagerelay_event_loop_delay_seconds';

/**
 * How late the service's event loop was between two scrapes, in milliseconds; undefined when nobody has looked meanwhile.
 * Of a histogram, `p99` is its bucket's upper bound.
 */
export function eventLoopDelay(before: MetricsText | undefined, now: MetricsText) {
  const grown = (name: string, labels = {}) => now.sum(name, labels) - (before?.sum(name, labels) ?? 0);
  const count = grown(`${family}_count`);
  if (!(count > 0)) return undefined;
  const buckets = now.samples(`${family}_bucket`).map(({ labels }) => {
    const { le = '' } = labels;
    return { bound: le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), within: grown(`${family}_bucket`, { le }) };
  });
  const sorted = buckets.sort((a, b) => a.bound - b.bound);
  const reached = sorted.find(({ within }) => within >= 0.99 * count)?.bound ?? Number.POSITIVE_INFINITY;
  const largest = sorted.findLast(({ bound }) => Number.isFinite(bound))?.bound ?? 0;
  return { mean: (grown(`${family}_sum`) / count) * 1000, p99: Math.min(reached, largest) * 1000 };
}
