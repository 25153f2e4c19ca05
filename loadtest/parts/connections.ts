/** Few and many connections. @module */
import type { RunningPeer } from '../peers/peer.ts';
import { tell } from '../report/progress.ts';
import { measure, type Sample } from '../run/rounds.ts';
import { type BenchRun, driverOf } from './bench-run.ts';

const sizes = [2 ** 12, 2 ** 16];
const counts = [1, 16, 256, 2000];

/** Measures peers at each size and number of connections. */
export async function measureConnections(run: BenchRun, peers: readonly RunningPeer[]): Promise<Sample[]> {
  const { rounds, seconds } = run.options;
  const samples: Sample[] = [];
  for (const size of sizes) {
    for (const connections of counts) {
      for await (const sample of measure(driverOf(run, run.pins), peers, { size, connections, seconds }, rounds)) {
        samples.push(sample);
        tell(sample, `${connections} connections, `);
      }
    }
  }
  return samples;
}
