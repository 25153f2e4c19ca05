/** From trials to what a reader compares. @module */
import { addLatencies, percentile } from '../clients/latency.ts';
import type { Scenario } from '../model/scenario.ts';
import type { Trial } from '../run/trial.ts';
import { median, ratios, spreadOf } from './statistics.ts';

/** What kept a rate from being higher. */
export type Limit = 'server' | 'client' | 'both' | 'readers' | 'rate' | 'rate not reached' | 'neither';

/** One server in one scenario, over its rounds. What nothing tells is null. */
export type Row = ReturnType<typeof rowOf>;

/** One row for each server in each scenario. */
export function rowsOf(trials: readonly Trial[], scenarios: readonly Scenario[], baseline: string): Row[] {
  return scenarios.flatMap((scenario) => {
    const own = trials.filter((trial) => trial.scenario === scenario.name && trial.main.requests > 0);
    const servers = Map.groupBy(own, ({ server }) => server);
    // What took turns in being first is told in the order of the first round.
    const roundsOf = (server: string) => (servers.get(server) ?? []).toSorted((a, b) => a.round - b.round);
    return [...servers.keys()].map((server) =>
      rowOf(scenario, roundsOf(server), server === baseline ? [] : roundsOf(baseline)),
    );
  });
}

function rowOf(scenario: Scenario, own: readonly Trial[], baseline: readonly Trial[]) {
  const [first] = own as [Trial, ...Trial[]];
  const spread = (value: (trial: Trial) => number | null | undefined) => {
    const values = own.map(value).filter((each) => typeof each === 'number' && Number.isFinite(each));
    return values.length === 0 ? null : spreadOf(values as number[]);
  };
  const middle = (value: (trial: Trial) => number | undefined) => spread(value)?.median ?? null;
  const sum = (value: (trial: Trial) => number) => own.reduce((total, trial) => total + value(trial), 0);
  const serverBusy = middle(({ use, main }) => use && use.cpuSeconds / main.seconds);
  // Both clients are on one processor, and so is a writer.
  const clients = ({ main, checker, writes }: Trial) =>
    main.cpuSeconds + (checker?.cpuSeconds ?? 0) + (writes?.cpuSeconds ?? 0);
  const clientBusy = middle((trial) => clients(trial) / trial.main.seconds) ?? 0;
  const idle = spread((trial) => trial.idle?.residentBytes);
  const [requests, missed] = [sum(({ main }) => main.requests), sum(({ main }) => main.missed)];
  // Nearly: a timer that fires late at the end is no server's doing.
  const isRateReached = missed <= requests / 100;
  return {
    ...{ scenario: scenario.name, server: first.server, client: first.main.client },
    ...{ rounds: own.length, requests, missed },
    requestsPerSecond: spreadOf(own.map(requestsPerSecond)),
    /** 10^6 bytes of bodies, of the client that makes the load. */
    megabytesPerSecond: spreadOf(own.map(({ main }) => bytesOf(main) / main.seconds / 1e6)),
    /** Of all that the server answered and sent meanwhile; 10^9 bytes. */
    cpuMicrosecondsPerRequest: spread(cpuPerRequest),
    cpuSecondsPerGigabyte: spread(cpuPerGigabyte),
    // Processors.
    ...{ serverBusy, clientBusy, limit: limitOf(scenario, serverBusy, clientBusy, isRateReached) },
    /** Microseconds, all rounds together. */
    latency: latencyOf(own),
    residentBytes: middle(({ use }) => use?.residentBytes),
    switchesPerRequest: middle(({ use, main }) => use?.switches && use.switches / answersOf(main)),
    eventLoopDelayP99Milliseconds: middle(({ use }) => use?.eventLoopDelayMilliseconds?.p99),
    checkedBytes: sum(({ main, checker }) => main.checked.bytes + (checker?.checked.bytes ?? 0)),
    writes: rowWrites(own, baseline),
    /** Bytes of each connection that does nothing. */
    idle: idle && { residentBytes: idle, nativeBytes: spread((trial) => trial.idle?.nativeBytes) },
    /** The service's over this server's, round by round. */
    ratios: baseline.length === 0 || idle ? null : ratiosOf(baseline, own),
  };
}

// Overwrites beside the reads; `quiet` is the same without a writer.
function rowWrites(own: readonly Trial[], quiet: readonly Trial[]) {
  const all = own.flatMap(({ writes }) => writes ?? []);
  if (all.length === 0) return null;
  const latency = addLatencies(all.map((writes) => writes.latency));
  const within = (of100: number) => (latency.totalCount === 0 ? null : percentile(latency, of100));
  // Where something else takes the server's processor, rates say little and this still something: CPU time is its own.
  const each = own.flatMap((trial, at) => {
    const [with_, without] = [cpuPerRequest(trial), quiet[at] && cpuPerRequest(quiet[at])];
    if (with_ === undefined || without === undefined || !trial.writes) return [];
    return [((with_ - without) * requestsPerSecond(trial)) / (trial.writes.written / trial.writes.seconds) / 1000];
  });
  return {
    writtenPerSecond: median(all.map(({ written, seconds }) => written / seconds)),
    busy: all.reduce((sum, { busy }) => sum + busy, 0),
    missed: all.reduce((sum, { missed }) => sum + missed, 0),
    // From when a write was due to its answer.
    ...{ p50Microseconds: within(50), p99Microseconds: within(99) },
    /** What the server used beyond what as many reads cost without a writer. */
    cpuMillisecondsPerWrite: each.length === 0 ? null : spreadOf(each),
  };
}

function answersOf({ requests, aborted }: Trial['main']): number {
  return requests + aborted.requests;
}

function bytesOf({ bytes, aborted }: Trial['main']): number {
  return bytes + aborted.bytes;
}

function requestsPerSecond({ main }: Trial): number {
  return answersOf(main) / main.seconds;
}

function cpuPerRequest({ use, main, checker }: Trial): number | undefined {
  return use && (use.cpuSeconds / (answersOf(main) + (checker ? answersOf(checker) : 0))) * 1e6;
}

function cpuPerGigabyte({ use, main, checker }: Trial): number | undefined {
  return use && (use.cpuSeconds / (bytesOf(main) + (checker ? bytesOf(checker) : 0))) * 1e9;
}

/** Who used so much of a processor was at its end: the rest is lost to switching, and to what else runs. */
const busy = 0.85;

/** What limited a rate, by who was busy. */
export function limitOf(
  { rate, bytesPerSecond, idle }: Pick<Scenario, 'rate' | 'bytesPerSecond' | 'idle'>,
  serverBusy: number | null,
  clientBusy: number,
  isReached = true,
): Limit | null {
  if (idle !== undefined) return null;
  if (bytesPerSecond !== undefined && clientBusy < busy) return 'readers';
  if (rate !== undefined && clientBusy < busy) return isReached ? 'rate' : 'rate not reached';
  if (clientBusy >= busy) return serverBusy !== null && serverBusy >= busy ? 'both' : 'client';
  if (serverBusy === null) return null;
  return serverBusy >= busy ? 'server' : 'neither';
}

function latencyOf(trials: readonly Trial[]) {
  const all = addLatencies(trials.map(({ main }) => main.latency));
  const [p50 = 0, p75 = 0, p90 = 0, p99 = 0, p999 = 0] = [50, 75, 90, 99, 99.9].map((share) => percentile(all, share));
  return { p50, p75, p90, p99, p999, max: all.maxValue };
}

function ratiosOf(baseline: readonly Trial[], own: readonly Trial[]) {
  const ratio = (value: (trial: Trial) => number) => spreadOf(ratios(baseline.map(value), own.map(value)));
  const p99 = ({ main }: Trial) => percentile(addLatencies([main.latency]), 99);
  return {
    requests: ratio(requestsPerSecond),
    cpu: ratio((trial) => cpuPerRequest(trial) ?? Number.NaN),
    p99: ratio(p99),
  };
}
