/** Two processors for the server, beside one in the same rounds. @module */
import { choosePins, type Pins, sharesProcessors } from '../measure/pin.ts';
import { baseline, rival } from '../peers/all.ts';
import type { RunningPeer } from '../peers/peer.ts';
import { tell } from '../report/progress.ts';
import { type Driver, type Sample, sampleOf, verify, warmUp } from '../run/rounds.ts';
import { type BenchRun, driverOf, serverPin } from './bench-run.ts';
import type { Field } from './field.ts';

const size = 2 ** 16;
const processors = 2;

/** Enough for both workers of a server that gives connections to its workers by chance. */
const connections = 64;

/** What was measured with one processor and with two. */
export type CoresPart = {
  readonly one: readonly Sample[];
  readonly two: readonly Sample[];
  readonly services: readonly RunningPeer[];
  /** Whether the client had no processor of its own beside the two. */
  readonly shared: boolean;
};

/** The processors for it; undefined when there are too few. */
export function pinsForTwo(): Pins | undefined {
  return choosePins(processors);
}

/** Measures both servers of a duel, with one processor each and with two. */
export async function measureCores(
  run: BenchRun,
  { regions }: Field,
  duel: readonly [RunningPeer, RunningPeer],
  pins: Pins,
): Promise<CoresPart> {
  const { scope, folder, options } = run;
  const task = { size, connections, seconds: options.seconds };
  const context = { scope, regions, sizes: [size], folder, pin: serverPin(pins), processors };
  const services = [await baseline.start(context), await rival.start(context)];
  const drivers = { one: driverOf(run, run.pins), two: driverOf(run, pins) };
  await warmUp(drivers.two, services, task);
  for (const peer of services) await verify(drivers.two, peer, task);
  const samples: Record<keyof typeof drivers, Sample[]> = { one: [], two: [] };
  const take = async (driver: Driver, peers: readonly RunningPeer[], round: number, into: Sample[]) => {
    for (const peer of peers) {
      const sample = await sampleOf(driver, peer, task, round);
      into.push(sample);
      tell(sample);
    }
  };
  for (let round = 1; round <= options.rounds; round++) {
    await take(drivers.one, duel, round, samples.one);
    await take(drivers.two, services, round, samples.two);
  }
  return { ...samples, services, shared: sharesProcessors(pins) };
}
