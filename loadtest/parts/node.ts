/** What Node takes of a request that no lane answers, step by step. @module */
import { steps } from '../peers/steps.ts';
import { tell } from '../report/progress.ts';
import { writeRegions } from '../run/region-file.ts';
import { measure, type Sample, warmUp } from '../run/rounds.ts';
import { type BenchRun, driverOf, memoryFolder, serverPin } from './bench-run.ts';

const size = 2 ** 12;

/** Measures each step's server, in the same rounds. */
export async function measureNode(run: BenchRun): Promise<Sample[]> {
  const { scope, folder, pins, options } = run;
  const { rounds, seconds, connections } = options;
  const regions = writeRegions(scope.folder(memoryFolder), [size]);
  const context = { scope, regions, sizes: [size], folder, pin: serverPin(pins) };
  const servers = await Promise.all(steps.map(({ peer }) => peer.start(context)));
  const task = { size, connections, seconds };
  await warmUp(driverOf(run, pins), servers, task);
  const samples: Sample[] = [];
  for await (const sample of measure(driverOf(run, pins), servers, task, rounds)) {
    samples.push(sample);
    tell(sample, 'node, ');
  }
  return samples;
}
