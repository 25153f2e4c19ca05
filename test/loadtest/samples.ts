/** Samples to compare. @module */
import type { Sample } from '../../loadtest/run/rounds.ts';
import type { WriteResult } from '../../loadtest/writer/writing.ts';

type Wanted = Partial<Pick<Sample, 'peer' | 'size' | 'round' | 'cpuSeconds' | 'writes'>> & {
  readonly requests?: number;
};

/** A sample of one second. */
export function sample({ peer = 'a', size = 4096, round = 1, requests = 100, cpuSeconds = 1, writes }: Wanted): Sample {
  const times = { seconds: 1, p50: 10, p99: 20, max: 30, clientCpuSeconds: 0.25 };
  const load = { requests, bytes: requests * size, ...times, missed: 0, errors: 0, firstError: null };
  return { peer, size, round, cpuSeconds, load, ...(writes && { writes }) };
}

/** What a writer got done in two seconds. */
export function writesOf(milliseconds: readonly number[], busy = 0, missed = 0): WriteResult {
  const counts = { written: milliseconds.length, busy, missed, errors: 0, firstError: null };
  return { seconds: 2, ...counts, milliseconds, cpuSeconds: 0.1 };
}
