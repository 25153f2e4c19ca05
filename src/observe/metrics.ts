/** What Prometheus scrapes: what the relay and the regions have counted, read once a scrape, and the process's own. @module */
import { type LimitReason, limitReasons } from '../limits/limits.ts';
import type { BackingEngine } from '../relay/engine.ts';
import type { Counters, Engine, Relay } from '../relay/relay.ts';
import { buildFamily } from './build-info.ts';
import { EventLoop } from './event-loop.ts';
import { type Format, formatFor, openMetrics, plainText } from './exposition.ts';
import { byLabel, type Family, type Sample, single } from './family.ts';
import { ProcessMetrics } from './process-metrics.ts';
import { engineFamily, type RegionCounts, type RegionEngine, RegionInfo, regionFamilies } from './region-metrics.ts';
import { relayFamilies } from './relay-metrics.ts';
import { Shared } from './shared.ts';

/** What the metrics tell of beyond the relay; each is read when asked. */
export type Observed = {
  readonly counts: RegionCounts;
  /** What each backing is sent by, as far as it was seen. */
  engines(): readonly BackingEngine[];
  /** What the regions are sent by that are open. */
  regions(): Iterable<RegionEngine>;
  /** Lines of the log that were lost; undefined where the log is somebody else's. */
  readonly lostLines?: (() => number) | undefined;
};

/** Metrics in one of their formats. */
export type Exposition = { readonly contentType: string; readonly body: Buffer };

/**
 * What a client did whose connection was closed: it reads no answer, sends no body that it announced, sends on behind
 * an answer, or sends too many requests ahead.
 */
export type ClosedFor = 'unread' | 'silent' | 'rest' | 'pipelining';

type Counted = {
  readonly method: string;
  readonly status: number | undefined;
  readonly engine: Engine | undefined;
  readonly count: { value: number };
};

/** The service's metrics. */
export class Metrics {
  readonly #relay: Relay;
  readonly #observed: Observed;
  readonly #build: Family;
  readonly #process = new ProcessMetrics();
  readonly #eventLoop = new EventLoop();
  readonly #regions = new RegionInfo();
  readonly #expositions = { plainText: this.#shared(plainText), openMetrics: this.#shared(openMetrics) };
  /** Counts by method, status and engine. Alarming ones exist from the start: rate() sees no series begin. */
  readonly #requests = new Map(alarming.map((status) => [requestKey('GET', status, 'none'), { value: 0 }]));
  /** Most requests are counted like the one before. */
  #last: Counted = { method: '', status: undefined, engine: undefined, count: { value: 0 } };

  readonly #limited = new Map<LimitReason, number>();
  readonly #closed: Record<ClosedFor, number> = { unread: 0, silent: 0, rest: 0, pipelining: 0 };

  constructor(relay: Relay, observed: Observed) {
    this.#relay = relay;
    this.#observed = observed;
    this.#build = buildFamily(relay);
  }

  /**
   * All metrics in the format that an Accept field asks for. Scrapes that wait at the same time share one, which costs
   * milliseconds.
   */
  exposition(accept: string | undefined): Promise<Exposition> {
    return this.#expositions[formatFor(accept).name].get();
  }

  /** All metrics as text. */
  async text(format: Format = plainText): Promise<string> {
    return format.write(await this.families());
  }

  /** All metrics, as they are now. */
  async families(): Promise<Family[]> {
    const now = this.#relay.counters();
    const misuse = 'Connections that Node has closed on clients that misuse them, by why.';
    const limited = 'How often a client was beyond a limit, by why (docs/operations.md).';
    return [
      this.#build,
      this.#requestFamily(now),
      byLabel('pagerelay_closed_connections_total', misuse, 'misuse', this.#closed),
      byLabel('pagerelay_limited_total', limited, 'reason', this.limited(now)),
      ...relayFamilies(now, this.#relay.lanes()),
      engineFamily(this.#observed.engines()),
      this.#regions.family(this.#observed.regions()),
      ...regionFamilies(this.#observed.counts),
      ...logFamilies(this.#observed.lostLines),
      ...this.#eventLoop.families(),
      ...(await this.#process.families()),
    ];
  }

  /** @param status undefined where no head was sent @param engine of the region's bytes, if there are any */
  countRequest(method: string, status: number | undefined, engine: Engine | undefined): void {
    const last = this.#last;
    if (last.method !== method || last.status !== status || last.engine !== engine) {
      const key = requestKey(countedMethods.has(method) ? method : 'other', `${status ?? 'none'}`, engine ?? 'none');
      const count = this.#requests.get(key) ?? { value: 0 };
      this.#requests.set(key, count);
      this.#last = { method, status, engine, count };
    }
    this.#last.count.value++;
  }

  /** How often a client was beyond a limit, in lanes and here. */
  limited(now: Counters): Readonly<Record<LimitReason, number>> {
    const counts = reasons.map((reason) => [reason, now.limited[reason] + (this.#limited.get(reason) ?? 0)]);
    return Object.fromEntries(counts);
  }

  /** Node has limited a client. */
  countLimited(reason: LimitReason): void {
    this.#limited.set(reason, (this.#limited.get(reason) ?? 0) + 1);
  }

  /** A connection is closed by Node because of what its client does. */
  countClosed(reason: ClosedFor): void {
    this.#closed[reason]++;
  }

  close(): void {
    this.#eventLoop.close();
  }

  #shared(format: Format): Shared<Exposition> {
    return new Shared(async () => ({ contentType: format.contentType, body: Buffer.from(await this.text(format)) }));
  }

  #requestFamily({ wholeByEngine, rangedByEngine, answers }: Counters): Family {
    const counts = new Map([...this.#requests].map(([key, { value }]) => [key, value]));
    const add = (key: string, count: number) => count > 0 && counts.set(key, (counts.get(key) ?? 0) + count);
    for (const [status, byEngine] of Object.entries({ 200: wholeByEngine, 206: rangedByEngine }))
      for (const [engine, count] of Object.entries(byEngine)) add(requestKey('GET', status, engine), count);
    add(requestKey('HEAD', '200', 'none'), answers.head);
    add(requestKey('GET', '304', 'none'), answers.notModified);
    add(requestKey('HEAD', '304', 'none'), answers.headNotModified);
    add(requestKey('GET', '412', 'none'), answers.failed);
    add(requestKey('HEAD', '412', 'none'), answers.headFailed);
    add(requestKey('GET', '416', 'none'), answers.unsatisfiable);
    add(requestKey('GET', '429', 'none'), answers.limited);
    add(requestKey('HEAD', '429', 'none'), answers.headLimited);
    const samples = [...counts].map(([key, value]): Sample => {
      const [method = '', status = '', engine = ''] = key.split(' ');
      return { labels: { method, status, engine }, value };
    });
    const help =
      'HTTP requests answered, by method, status and the engine of a region’s bytes, those that lanes answered among them.';
    return { name: 'pagerelay_http_requests_total', type: 'counter', help, samples };
  }
}

function logFamilies(lostLines: (() => number) | undefined): Family[] {
  if (!lostLines) return [];
  const help =
    'Lines of the access log, and what shares its file, that were lost: it could not be written, or not fast enough.';
  return [single('pagerelay_access_log_dropped_lines_total', help, lostLines())];
}

const reasons = Object.keys(limitReasons) as readonly LimitReason[];

const alarming = ['404', '416', '500', '503'];

function requestKey(method: string, status: string, engine: string): string {
  return `${method} ${status} ${engine}`;
}

// Clients choose methods: what is not answered here is one label, however many there are.
const countedMethods = new Set(['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE', 'OPTIONS']);
