/** What Prometheus scrapes: what the relay and the regions have counted, read once a scrape, and the process's own. @module */
import type { BackingEngine } from '../relay/engine.ts';
import type { Counters, Relay } from '../relay/relay.ts';
import { buildFamily } from './build-info.ts';
import { EventLoop } from './event-loop.ts';
import { type Format, formatFor, plainText } from './exposition.ts';
import type { Family, Sample } from './family.ts';
import { ProcessMetrics } from './process-metrics.ts';
import { engineFamily, type RegionCounts, type RegionEngine, RegionInfo, regionFamilies } from './region-metrics.ts';
import { relayFamilies } from './relay-metrics.ts';

/** What the metrics tell of beyond the relay; each is read when asked. */
export type Observed = {
  readonly counts: RegionCounts;
  /** What each backing is sent by, as far as it was seen. */
  engines(): readonly BackingEngine[];
  /** What the regions are sent by that are open. */
  regions(): Iterable<RegionEngine>;
};

/** Metrics in one of their formats. */
export type Exposition = { readonly contentType: string; readonly text: string };

/** The service's metrics. */
export class Metrics {
  readonly #relay: Relay;
  readonly #observed: Observed;
  readonly #build: Family;
  readonly #process = new ProcessMetrics();
  readonly #eventLoop = new EventLoop();
  readonly #regions = new RegionInfo();
  /** By method and status, with a space between. */
  readonly #requests = new Map<string, number>();

  constructor(relay: Relay, observed: Observed) {
    this.#relay = relay;
    this.#observed = observed;
    this.#build = buildFamily(relay);
  }

  /**
   * All metrics in the format that a scraper asks for, OpenMetrics or Prometheus's text.
   *
   * @param accept its Accept field
   */
  async exposition(accept: string | undefined): Promise<Exposition> {
    const format = formatFor(accept);
    return { contentType: format.contentType, text: await this.text(format) };
  }

  /** All metrics as text. */
  async text(format: Format = plainText): Promise<string> {
    return format.write(await this.families());
  }

  /** All metrics, as they are now. */
  async families(): Promise<Family[]> {
    const now = this.#relay.counters();
    return [
      this.#build,
      this.#requestFamily(now),
      ...relayFamilies(now, this.#relay.lanes()),
      engineFamily(this.#observed.engines()),
      this.#regions.family(this.#observed.regions()),
      ...regionFamilies(this.#observed.counts),
      ...this.#eventLoop.families(),
      ...(await this.#process.families()),
    ];
  }

  /** @param status undefined where the client went away before a head was out */
  countRequest(method: string, status: number | undefined): void {
    const key = `${countedMethods.has(method) ? method : 'other'} ${status ?? 'none'}`;
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
  }

  close(): void {
    this.#eventLoop.close();
  }

  #requestFamily({ answers }: Counters): Family {
    const counts = new Map(this.#requests);
    const byLanes = { 'GET 200': answers.whole, 'GET 206': answers.ranged };
    for (const [key, count] of Object.entries(byLanes)) if (count > 0) counts.set(key, (counts.get(key) ?? 0) + count);
    const samples = [...counts].map(([key, value]): Sample => {
      const [method = '', status = ''] = key.split(' ');
      return { labels: { method, status }, value };
    });
    const help = 'HTTP requests answered, by method and status, those among them that lanes answered by themselves.';
    return { name: 'pagerelay_http_requests_total', type: 'counter', help, samples };
  }
}

// Clients choose methods: what is not answered here is one label, however many there are.
const countedMethods = new Set(['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE', 'OPTIONS']);
