/** Samples to compare. @module */
import type { Sample } from '../../loadtest/run/rounds.ts';
import type { WriteResult } from '../../loadtest/writer/writing.ts';

type Wanted = Partial<Pick<Sample, 'peer' | 'size' | 'connections' | 'round' | 'cpuSeconds' | 'writes'>> & {
  readonly requests?: number;
  readonly p99?: number;
};

/** A sample of one second. */
export function sample(wanted: Wanted): Sample {
  const {
    peer = 'a',
    size = 4096,
    connections = 16,
    round = 1,
    requests = 100,
    p99 = 20,
    cpuSeconds = 1,
    writes,
  } = wanted;
  const times = { seconds: 1, p50: 10, p99, max: 30, clientCpuSeconds: 0.25 };
  const load = { requests, bytes: requests * size, ...times, missed: 0, errors: 0, firstError: null };
  return { peer, size, connections, round, cpuSeconds, load, ...(writes && { writes }) };
}

/** What a writer got done in two seconds. */
export function writesOf(milliseconds: readonly number[], busy = 0, missed = 0): WriteResult {
  const counts = { written: milliseconds.length, busy, missed, errors: 0, firstError: null };
  return { seconds: 2, ...counts, milliseconds, cpuSeconds: 0.1 };
}
