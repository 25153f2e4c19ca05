/** Latency at a rate that leaves both servers room: half of what the rival reaches. @module */
import type { RunningPeer } from '../peers/peer.ts';
import { requestsPerSecond } from '../report/comparison.ts';
import { tell } from '../report/progress.ts';
import { type Sample, sampleOf, type Task, verify } from '../run/rounds.ts';
import { type BenchRun, driverOf } from './bench-run.ts';

const sizes = [2 ** 12, 2 ** 16, 2 ** 20];

/** Of the rival's peak. */
export const shareOfPeak = 0.5;

/** A tail needs more requests than a mean. */
const longer = 2;

/** Measures both, at the peak that the rival shows in the same round. The samples are those at the fixed rate. */
export async function measureRate(run: BenchRun, duel: readonly [RunningPeer, RunningPeer]): Promise<Sample[]> {
  const { rounds, seconds, connections } = run.options;
  const driver = driverOf(run, run.pins);
  const samples: Sample[] = [];
  for (const size of sizes) {
    const peak: Task = { size, connections, seconds };
    for (const peer of duel) await verify(driver, peer, peak);
    for (let round = 1; round <= rounds; round++) {
      const rate = requestsPerSecond(await sampleOf(driver, duel[1], peak, round)) * shareOfPeak;
      for (const peer of duel) {
        const sample = await sampleOf(driver, peer, { ...peak, rate, seconds: longer * seconds }, round);
        samples.push(sample);
        tell(sample, 'fixed rate, ');
      }
    }
  }
  return samples;
}
