/** From samples to what a reader compares. @module */
import type { Sample } from '../run/rounds.ts';
import { median, ratios, type Spread, spreadOf } from './statistics.ts';

/** One peer at one size: medians over the rounds. */
export type Row = {
  readonly peer: string;
  readonly requestsPerSecond: number;
  /** 10^6 bytes of bodies. */
  readonly megabytesPerSecond: number;
  readonly cpuMicrosecondsPerRequest: number;
  /** 10^9 bytes of bodies. */
  readonly cpuSecondsPerGigabyte: number;
  /** How much of one processor the server used, and the client: 0 to 1, above with several. */
  readonly serverBusy: number;
  readonly clientBusy: number;
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Baseline / peer, round by round; undefined for the baseline. */
  readonly ratios: Ratios | undefined;
};

/** Of two peers, round by round. */
export type Ratios = Readonly<Record<keyof typeof figures, Spread>>;

/** What peers are compared by: rate, CPU of a request, and latency. */
const figures = {
  requests: requestsPerSecond,
  cpu: cpuMicrosecondsPerRequest,
  p50: ({ load }: Sample) => load.p50,
  p99: ({ load }: Sample) => load.p99,
} as const;

/** All peers at one size and number of connections. */
export type SizeTable = { readonly size: number; readonly connections: number; readonly rows: readonly Row[] };

/** Compares peers with the baseline, for each size and number of connections. */
export function compare(samples: readonly Sample[], baseline: string): SizeTable[] {
  const cases = new Map(samples.map(({ size, connections }) => [`${size} ${connections}`, { size, connections }]));
  return [...cases.values()].map(({ size, connections }) => {
    const ofSize = samples.filter((sample) => sample.size === size && sample.connections === connections);
    const ofPeer = (peer: string) => ofSize.filter((sample) => sample.peer === peer).sort((a, b) => a.round - b.round);
    const peers = [...new Set(ofSize.map(({ peer }) => peer))];
    return {
      size,
      connections,
      rows: peers.map((peer) => rowOf(peer, ofPeer(peer), ofPeer(baseline), peer === baseline)),
    };
  });
}

function rowOf(peer: string, own: readonly Sample[], baseline: readonly Sample[], isBaseline: boolean): Row {
  const over = (value: (sample: Sample) => number) => median(own.map(value));
  return {
    peer,
    requestsPerSecond: over(requestsPerSecond),
    megabytesPerSecond: over(({ load }) => load.bytes / load.seconds / 1e6),
    cpuMicrosecondsPerRequest: over(cpuMicrosecondsPerRequest),
    cpuSecondsPerGigabyte: over(({ load, cpuSeconds }) => (cpuSeconds / load.bytes) * 1e9),
    serverBusy: over(({ load, cpuSeconds }) => cpuSeconds / load.seconds),
    clientBusy: over(({ load }) => load.clientCpuSeconds / load.seconds),
    p50: over(({ load }) => load.p50),
    p99: over(({ load }) => load.p99),
    ratios: isBaseline ? undefined : ratiosOf(baseline, own),
  };
}

/** Samples of one peer over those of another, in the order of rounds. */
export function ratiosOf(over: readonly Sample[], under: readonly Sample[]): Ratios {
  const ratio = (value: (sample: Sample) => number) => spreadOf(ratios(over.map(value), under.map(value)));
  return {
    requests: ratio(figures.requests),
    cpu: ratio(figures.cpu),
    p50: ratio(figures.p50),
    p99: ratio(figures.p99),
  };
}

/** Of one sample. */
export function requestsPerSecond({ load }: Sample): number {
  return load.requests / load.seconds;
}

/** Of one sample: of the server, whatever else it did meanwhile. */
export function cpuMicrosecondsPerRequest({ load, cpuSeconds }: Sample): number {
  return (cpuSeconds / load.requests) * 1e6;
}
