/** Samples to compare. @module */
import type { Sample } from '../../loadtest/run/rounds.ts';

type Wanted = Partial<Pick<Sample, 'peer' | 'size' | 'round' | 'cpuSeconds'>> & { readonly requests?: number };

/** A sample of one second. */
export function sample({ peer = 'a', size = 4096, round = 1, requests = 100, cpuSeconds = 1 }: Wanted): Sample {
  const times = { seconds: 1, p50: 10, p99: 20, max: 30, clientCpuSeconds: 0.25 };
  const load = { requests, bytes: requests * size, ...times, missed: 0, errors: 0, firstError: null };
  return { peer, size, round, cpuSeconds, load };
}
