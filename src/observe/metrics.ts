/** What Prometheus scrapes: the relay's own counters, read when asked, and the process's. @module */
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from '@prometheus-io/client';
import type { BackingEngine } from '../relay/engine.ts';
import type { Counters, Relay } from '../relay/relay.ts';

/** What happens to regions, counted where it happens; each is read when asked. */
export type RegionCounts = {
  /** Files of open regions that others have touched, by what they did. */
  readonly externalChanges: Readonly<Record<string, number>>;
  /** Undefined where nothing can be changed. */
  readonly changes:
    | {
        /** Overwrites in place, by how they ended. */
        readonly overwrites: Readonly<Record<string, number>>;
        expiredLeases(): number;
        oldGenerations(): number;
        regionBytes(): number;
      }
    | undefined;
};

/** The service's metrics. */
export class Metrics {
  readonly #registry = new Registry();
  /** By method and status, with a space between: counted here, for the library's labels cost more than the request. */
  readonly #requests = new Map<string, number>();

  /** @param engines what each backing is sent by, as far as it was seen */
  constructor(relay: Relay, counts: RegionCounts, engines: () => readonly BackingEngine[] = () => []) {
    const registers = [this.#registry];
    const requests = this.#requests;
    new Counter({
      name: 'pagerelay_http_requests_total',
      help: 'HTTP requests answered, by method and status.',
      labelNames: ['method', 'status'],
      registers,
      collect() {
        this.reset();
        for (const [key, count] of requests) {
          const [method = '', status = ''] = key.split(' ');
          this.inc({ method, status }, count);
        }
        const { whole, ranged } = relay.counters().answers;
        if (whole > 0) this.inc({ method: 'GET', status: '200' }, whole);
        if (ranged > 0) this.inc({ method: 'GET', status: '206' }, ranged);
      },
    });
    for (const metric of relayMetrics(relay, registers)) this.#registry.registerMetric(metric);
    this.#registry.registerMetric(engineInfo(engines, registers));
    for (const metric of regionMetrics(counts, registers)) this.#registry.registerMetric(metric);
    collectDefaultMetrics({ register: this.#registry });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in Prometheus's text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** @param status undefined where the client went away before a head was out */
  countRequest(method: string, status: number | undefined): void {
    const key = `${countedMethods.has(method) ? method : 'other'} ${status ?? 'none'}`;
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
  }
}

// Clients choose methods: what is not answered here is one label, however many there are.
const countedMethods = new Set(['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE', 'OPTIONS']);

function relayMetrics(relay: Relay, registers: Registry[]): Metric<string>[] {
  const gauge = (name: string, help: string, read: (counters: Counters) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read(relay.counters()));
      },
    });
  const counter = (name: string, help: string, read: (counters: Counters) => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read(relay.counters()));
      },
    });
  return [
    sentBytes(relay, registers),
    copiedBytes(relay, registers),
    numaBytes(relay, registers),
    transmissions(relay, registers),
    holdSeconds(relay),
    gauge('pagerelay_references', 'References to pages that are held now.', (now) => now.references),
    gauge('pagerelay_held_bytes', 'Bytes under references now.', (now) => now.heldBytes),
    gauge('pagerelay_quarantined_references', 'References whose end nobody can tell.', (now) => now.quarantined),
    gauge(
      'pagerelay_quarantined_bytes',
      'Bytes whose end of being read nobody can tell.',
      (now) => now.quarantinedBytes,
    ),
    gauge('pagerelay_connections', 'Connections that have sent natively and are open.', (now) => now.connections),
    gauge('pagerelay_broken_off_connections', 'Broken-off connections under watch.', (now) => now.brokenOff),
    counter('pagerelay_inline_sends_total', 'Bodies that the main thread sent at once.', (now) => now.inlineSends),
    counter('pagerelay_lane_sends_total', 'Bodies that a lane carried.', (now) => now.laneSends),
    counter('pagerelay_looks_total', 'Looks at whether a connection is done.', (now) => now.looks),
    zerocopySends(relay, registers),
    gauge('pagerelay_leases', 'Leases on pages that writers have now.', (now) => now.leases),
    gauge('pagerelay_waiting_writers', 'Writers that wait for pages.', (now) => now.waitingWriters),
    gauge('pagerelay_waiting_readers', 'Readers that wait behind writers.', (now) => now.waitingReaders),
    counter('pagerelay_broken_holds_total', 'References that were broken off for a writer.', (now) => now.breaks),
    counter('pagerelay_express_grants_total', 'Connections granted to lanes.', (now) => now.grants),
    gauge('pagerelay_express_connections', 'Connections that lanes answer on by themselves now.', (now) => now.granted),
    counter(
      'pagerelay_express_requests_total',
      'Requests that lanes answered by themselves.',
      (now) => now.answers.whole + now.answers.ranged,
    ),
    expressReturns(relay, registers),
    gauge('pagerelay_native_allocated_bytes', 'Memory that the shim has set aside.', (now) => now.allocatedBytes),
  ];
}

function regionMetrics({ externalChanges, changes }: RegionCounts, registers: Registry[]): Metric<string>[] {
  const byLabel = (name: string, help: string, label: string, counts: Readonly<Record<string, number>>) =>
    new Counter({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset();
        for (const [value, count] of Object.entries(counts)) this.inc({ [label]: value }, count);
      },
    });
  const external = 'Files of open regions that others have replaced, changed or removed.';
  const metrics: Metric<string>[] = [byLabel('pagerelay_external_changes_total', external, 'kind', externalChanges)];
  if (!changes) return metrics;
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  return [
    ...metrics,
    byLabel('pagerelay_overwrites_total', 'Overwrites in place, by how they ended.', 'outcome', changes.overwrites),
    new Counter({
      name: 'pagerelay_expired_leases_total',
      help: 'Leases of processes that ended by their time, unreleased.',
      registers,
      collect() {
        this.reset();
        this.inc(changes.expiredLeases());
      },
    }),
    gauge('pagerelay_old_generations', 'Files without a name that are kept for their readers.', changes.oldGenerations),
    gauge('pagerelay_region_bytes', 'Bytes that count against the quota.', changes.regionBytes),
  ];
}

function sentBytes(relay: Relay, registers: Registry[]): Metric<string> {
  return new Counter({
    name: 'pagerelay_sent_bytes_total',
    help: 'Body bytes that sockets have taken, by engine.',
    labelNames: ['engine'],
    registers,
    collect() {
      this.reset();
      for (const [engine, bytes] of Object.entries(relay.counters().sentBytes)) this.inc({ engine }, bytes);
    },
  });
}

function copiedBytes(relay: Relay, registers: Registry[]): Metric<string> {
  return new Counter({
    name: 'pagerelay_copied_bytes_total',
    help: "Regions' bytes that were copied on their way to the socket, by engine.",
    labelNames: ['engine'],
    registers,
    collect() {
      this.reset();
      for (const [engine, bytes] of Object.entries(relay.counters().copiedBytes)) this.inc({ engine }, bytes);
    },
  });
}

function numaBytes(relay: Relay, registers: Registry[]): Metric<string> {
  return new Counter({
    name: 'pagerelay_numa_bytes_total',
    help: "Body bytes by whether the connection's lane sits on the NUMA node of most of the region's pages.",
    labelNames: ['locality'],
    registers,
    collect() {
      this.reset();
      for (const [locality, bytes] of Object.entries(relay.counters().bytesByLocality)) this.inc({ locality }, bytes);
    },
  });
}

function engineInfo(engines: () => readonly BackingEngine[], registers: Registry[]): Metric<string> {
  return new Gauge({
    name: 'pagerelay_engine_info',
    help: 'The engine that each backing in use is sent by; copy_free as a witness has seen it.',
    labelNames: ['backing', 'engine', 'copy_free'],
    registers,
    collect() {
      this.reset();
      for (const { backing, engine, copyFree } of engines()) {
        const seen = copyFree === null ? 'unknown' : copyFree ? 'yes' : 'no';
        this.set({ backing, engine, copy_free: seen }, 1);
      }
    },
  });
}

function transmissions(relay: Relay, registers: Registry[]): Metric<string> {
  return new Counter({
    name: 'pagerelay_transmissions_total',
    help: 'Response bodies, by engine and how they ended.',
    labelNames: ['engine', 'outcome'],
    registers,
    collect() {
      this.reset();
      for (const [engine, outcomes] of Object.entries(relay.counters().transmissions)) {
        for (const [outcome, count] of Object.entries(outcomes)) this.inc({ engine, outcome }, count);
      }
    },
  });
}

function zerocopySends(relay: Relay, registers: Registry[]): Metric<string> {
  return new Counter({
    name: 'pagerelay_zerocopy_sends_total',
    help: 'Sends of the engine zerocopy: the kernel did not copy, had to, or it was not tried for so few bytes.',
    labelNames: ['result'],
    registers,
    collect() {
      this.reset();
      const { uncopied, copied, notTried } = relay.counters().zerocopySends;
      for (const [result, count] of Object.entries({ uncopied, copied, not_tried: notTried }))
        this.inc({ result }, count);
    },
  });
}

function expressReturns(relay: Relay, registers: Registry[]): Metric<string> {
  return new Counter({
    name: 'pagerelay_express_returns_total',
    help: 'Connections that lanes have given back, by why.',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset();
      for (const [reason, count] of Object.entries(relay.counters().returns)) this.inc({ reason }, count);
    },
  });
}

// The library's own histogram can only be observed into; the shim has counted already.
function holdSeconds(relay: Relay): Metric<string> {
  const name = 'pagerelay_hold_seconds';
  const metric = {
    name,
    get() {
      const { buckets, sum } = relay.counters().holdSeconds;
      let total = 0;
      const values: { metricName: string; labels: Record<string, string | number>; value: number }[] = [];
      for (const [bound, count] of buckets) {
        total += count;
        const le = Number.isFinite(bound) ? bound : '+Inf';
        values.push({ metricName: `${name}_bucket`, labels: { le }, value: total });
      }
      values.push({ metricName: `${name}_sum`, labels: {}, value: sum });
      values.push({ metricName: `${name}_count`, labels: {}, value: total });
      const help = 'How long references were held, from taking to done.';
      return { name, help, type: 'histogram', values, aggregator: 'sum' };
    },
  };
  return metric as unknown as Metric<string>;
}
