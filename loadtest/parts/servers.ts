/** pagerelay beside other servers of the same file. @module */
import { tell } from '../report/progress.ts';
import { regionBytes } from '../run/region-file.ts';
import { measure, type Sample } from '../run/rounds.ts';
import { type BenchRun, driverOf } from './bench-run.ts';
import type { Field } from './field.ts';

/** On which a whole large region is asked for: more of them only make a round longer. */
const wholeConnections = 2;

/** A whole region takes a third of a second: of fewer than ten of them rounds differ by five times. */
const wholeSeconds = 2;

/** Measures all servers of the field at each size. */
export async function measureServers(run: BenchRun, { running }: Field): Promise<Sample[]> {
  const { sizes, rounds, seconds, connections } = run.options;
  const samples: Sample[] = [];
  for (const size of sizes) {
    const peers = running.filter(({ peer }) => size <= (peer.largest ?? size)).map(({ server }) => server);
    const isWhole = size > regionBytes;
    const longer = { connections: wholeConnections, seconds: Math.max(seconds, wholeSeconds) };
    const task = { size, seconds, connections, ...(isWhole && longer) };
    for await (const sample of measure(driverOf(run, run.pins), peers, task, rounds)) {
      samples.push(sample);
      tell(sample);
    }
  }
  return samples;
}
