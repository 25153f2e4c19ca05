/** A new connection for each request. @module */
import type { RunningPeer } from '../peers/peer.ts';
import { tell } from '../report/progress.ts';
import { measure, type Sample } from '../run/rounds.ts';
import { type BenchRun, driverOf } from './bench-run.ts';

const sizes = [2 ** 12, 2 ** 16];

/** Measures peers at each size. */
export async function measureFresh(run: BenchRun, peers: readonly RunningPeer[]): Promise<Sample[]> {
  const { rounds, seconds, connections } = run.options;
  const samples: Sample[] = [];
  for (const size of sizes) {
    const task = { size, connections, seconds, fresh: true };
    for await (const sample of measure(driverOf(run, run.pins), peers, task, rounds)) {
      samples.push(sample);
      tell(sample, 'new connections, ');
    }
  }
  return samples;
}
