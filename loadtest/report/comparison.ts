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
  readonly ratios: { readonly requests: Spread; readonly cpu: Spread } | undefined;
};

/** All peers at one size. */
export type SizeTable = { readonly size: number; readonly rows: readonly Row[] };

/** Compares peers with the baseline, size by size. */
export function compare(samples: readonly Sample[], baseline: string): SizeTable[] {
  const sizes = [...new Set(samples.map(({ size }) => size))];
  return sizes.map((size) => {
    const ofSize = samples.filter((sample) => sample.size === size);
    const ofPeer = (peer: string) => ofSize.filter((sample) => sample.peer === peer).sort((a, b) => a.round - b.round);
    const peers = [...new Set(ofSize.map(({ peer }) => peer))];
    return { size, rows: peers.map((peer) => rowOf(peer, ofPeer(peer), ofPeer(baseline), peer === baseline)) };
  });
}

function rowOf(peer: string, own: readonly Sample[], baseline: readonly Sample[], isBaseline: boolean): Row {
  const over = (value: (sample: Sample) => number) => median(own.map(value));
  const ratio = (value: (sample: Sample) => number) => spreadOf(ratios(baseline.map(value), own.map(value)));
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
    ratios: isBaseline ? undefined : { requests: ratio(requestsPerSecond), cpu: ratio(cpuMicrosecondsPerRequest) },
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
