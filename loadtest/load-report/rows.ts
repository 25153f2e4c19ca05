/** From trials to what a reader compares. @module */
import { Histogram } from '../clients/histogram.ts';
import type { ClientKind } from '../clients/job.ts';
import { median, ratios, type Spread, spreadOf } from '../report/statistics.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import type { Trial } from '../trial/trial.ts';

/** What kept a rate from being higher. */
export type Limit = 'server' | 'client' | 'both' | 'readers' | 'rate' | 'rate not reached' | 'neither';

/** Overwrites, over the rounds of a row. */
export type RowWrites = {
  /** Median. */
  readonly writtenPerSecond: number;
  /** Answered 409, in all. */
  readonly busy: number;
  /** Due and not sent, in all. */
  readonly missed: number;
  /** From when a write was due to its answer; null of none. */
  readonly p99Microseconds: number | null;
};

/** One peer in one scenario, over its rounds. */
export type Row = {
  readonly scenario: string;
  readonly peer: string;
  readonly client: ClientKind;
  readonly rounds: number;
  readonly requests: number;
  readonly requestsPerSecond: Spread;
  /** 10^6 bytes of bodies, of the client that makes the load. */
  readonly megabytesPerSecond: Spread;
  /** Of all that the server sent meanwhile; 10^9 bytes. Null where nothing tells its CPU. */
  readonly cpuSecondsPerGigabyte: Spread | null;
  /** Processors. */
  readonly serverBusy: number | null;
  readonly clientBusy: number;
  readonly limit: Limit | null;
  /** Microseconds, all rounds together. */
  readonly latency: Readonly<Record<'p50' | 'p75' | 'p90' | 'p99' | 'p999' | 'max', number>>;
  readonly missed: number;
  readonly residentBytes: number | null;
  readonly switchesPerRequest: number | null;
  readonly eventLoopDelayP99Milliseconds: number | null;
  readonly checkedBytes: number;
  /** Of a writer beside the load; null without one. */
  readonly writes: RowWrites | null;
  /** The baseline's over this peer's, round by round; null for the baseline, and without one. */
  readonly ratios: Readonly<Record<'requests' | 'cpu' | 'p99', Spread>> | null;
};

/** One row for each peer in each scenario. */
export function rowsOf(trials: readonly Trial[], scenarios: readonly Scenario[], baseline: string): Row[] {
  return scenarios.flatMap((scenario) => {
    const own = trials.filter((trial) => trial.scenario === scenario.name && trial.main.requests > 0);
    const peers = [...new Set(own.map(({ peer }) => peer))];
    const of = (peer: string) => own.filter((trial) => trial.peer === peer);
    return peers.map((peer) => rowOf(scenario, of(peer), peer === baseline ? [] : of(baseline)));
  });
}

function rowOf(scenario: Scenario, own: readonly Trial[], baseline: readonly Trial[]): Row {
  const [first] = own as [Trial, ...Trial[]];
  const over = (value: (trial: Trial) => number | undefined) => {
    const values = own.map(value).filter((each) => each !== undefined);
    return values.length === 0 ? null : median(values);
  };
  const sum = (value: (trial: Trial) => number) => own.reduce((total, trial) => total + value(trial), 0);
  const cpu = own.map(cpuPerGigabyte).filter((each) => each !== undefined);
  const serverBusy = over(({ server, main }) => server && server.cpuSeconds / main.seconds);
  // Both clients are on one processor, and so is a writer.
  const clients = ({ main, checker, writes }: Trial) =>
    main.cpuSeconds + checker.cpuSeconds + (writes?.cpuSeconds ?? 0);
  const clientBusy = over((trial) => clients(trial) / trial.main.seconds) ?? 0;
  return {
    scenario: scenario.name,
    peer: first.peer,
    client: first.main.client,
    rounds: own.length,
    requests: sum(({ main }) => main.requests),
    requestsPerSecond: spreadOf(own.map(requestsPerSecond)),
    megabytesPerSecond: spreadOf(own.map(megabytesPerSecond)),
    cpuSecondsPerGigabyte: cpu.length === 0 ? null : spreadOf(cpu),
    serverBusy,
    clientBusy,
    limit: limitOf({ ...scenario, isRateReached: isRateReached(own) }, serverBusy, clientBusy),
    latency: latencyOf(own),
    missed: sum(({ main }) => main.missed),
    residentBytes: over(({ server }) => server?.residentBytes),
    switchesPerRequest: over(switchesPerRequest),
    eventLoopDelayP99Milliseconds: over(({ server }) => server?.eventLoopDelayMilliseconds?.p99),
    checkedBytes: sum(({ main, checker }) => main.checked.bytes + checker.checked.bytes),
    writes: rowWrites(own),
    ratios: baseline.length === 0 ? null : ratiosOf(baseline, own),
  };
}

function rowWrites(own: readonly Trial[]): RowWrites | null {
  const all = own.flatMap(({ writes }) => writes ?? []);
  if (all.length === 0) return null;
  const p99 = Histogram.from(all.map(({ latency }) => latency)).quantile(0.99);
  return {
    writtenPerSecond: median(all.map(({ written, seconds }) => written / seconds)),
    busy: all.reduce((sum, { busy }) => sum + busy, 0),
    missed: all.reduce((sum, { missed }) => sum + missed, 0),
    p99Microseconds: Number.isNaN(p99) ? null : p99,
  };
}

function requestsPerSecond({ main }: Trial): number {
  return (main.requests + main.aborted.requests) / main.seconds;
}

function megabytesPerSecond({ main }: Trial): number {
  return bytesOf(main) / main.seconds / 1e6;
}

function bytesOf({ bytes, aborted }: Trial['main']): number {
  return bytes + aborted.bytes;
}

function cpuPerGigabyte({ server, main, checker }: Trial): number | undefined {
  return server && (server.cpuSeconds / (bytesOf(main) + bytesOf(checker))) * 1e9;
}

function switchesPerRequest({ server, main }: Trial): number | undefined {
  const { voluntarySwitches, involuntarySwitches } = server ?? {};
  if (voluntarySwitches === undefined || involuntarySwitches === undefined) return undefined;
  return (voluntarySwitches + involuntarySwitches) / (main.requests + main.aborted.requests);
}

// Nearly: a timer that fires late at the end is no server's doing.
function isRateReached(own: readonly Trial[]): boolean {
  const sum = (value: (trial: Trial) => number) => own.reduce((total, trial) => total + value(trial), 0);
  return sum(({ main }) => main.missed) <= sum(({ main }) => main.requests) / 100;
}

/** Who used so much of a processor was at its end: the rest is lost to switching, and to what else runs. */
const busy = 0.85;

/** What limited a rate, by who was busy. */
export function limitOf(
  asked: { readonly rate?: number; readonly bytesPerSecond?: number; readonly isRateReached?: boolean },
  serverBusy: number | null,
  clientBusy: number,
): Limit | null {
  const { rate, bytesPerSecond, isRateReached = true } = asked;
  if (bytesPerSecond !== undefined && clientBusy < busy) return 'readers';
  if (rate !== undefined && clientBusy < busy) return isRateReached ? 'rate' : 'rate not reached';
  if (clientBusy >= busy) return serverBusy !== null && serverBusy >= busy ? 'both' : 'client';
  if (serverBusy === null) return null;
  return serverBusy >= busy ? 'server' : 'neither';
}

function latencyOf(trials: readonly Trial[]): Row['latency'] {
  const all = Histogram.from(trials.map(({ main }) => main.latency));
  const [p50, p75, p90, p99, p999] = [0.5, 0.75, 0.9, 0.99, 0.999].map((share) => all.quantile(share)) as number[];
  return { p50: p50 ?? 0, p75: p75 ?? 0, p90: p90 ?? 0, p99: p99 ?? 0, p999: p999 ?? 0, max: all.max };
}

function ratiosOf(baseline: readonly Trial[], own: readonly Trial[]): NonNullable<Row['ratios']> {
  const ratio = (value: (trial: Trial) => number) => spreadOf(ratios(baseline.map(value), own.map(value)));
  const cpu = (trial: Trial) =>
    (trial.server?.cpuSeconds ?? Number.NaN) / (bytesOf(trial.main) + bytesOf(trial.checker));
  const p99 = ({ main }: Trial) => Histogram.from([main.latency]).quantile(0.99);
  return { requests: ratio(requestsPerSecond), cpu: ratio(cpu), p99: ratio(p99) };
}
