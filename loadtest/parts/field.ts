/** The servers that several parts of a run put under load. @module */
import { baseline, type Missing, peersHere, rival } from '../peers/all.ts';
import type { Peer, RunningPeer } from '../peers/peer.ts';
import { type Regions, writeRegions } from '../run/region-file.ts';
import { warmUp } from '../run/rounds.ts';
import { type BenchRun, driverOf, memoryFolder, serverPin } from './bench-run.ts';

/** Servers under way, warmed up, each on the one processor for servers. */
export type Field = {
  readonly regions: Regions;
  readonly running: readonly { readonly peer: Peer; readonly server: RunningPeer }[];
  /** What could not be started, and why. */
  readonly missing: readonly Missing[];
};

/** Starts every server that is asked for and runs here. */
export async function startField(run: BenchRun): Promise<Field> {
  const { scope, folder, pins, options } = run;
  const { sizes, connections, seconds } = options;
  const regions = writeRegions(scope.folder(memoryFolder), sizes);
  const { here, missing } = peersHere(options.peers);
  for (const { name, why } of missing) tellMissing(name, why);
  const context = { scope, regions, sizes, folder, pin: serverPin(pins) };
  const running: { peer: Peer; server: RunningPeer }[] = [];
  for (const peer of here) running.push({ peer, server: await peer.start(context) });
  const [size = 4096] = sizes;
  const servers = running.map(({ server }) => server);
  await warmUp(driverOf(run, pins), servers, { size, connections, seconds });
  return { regions, running, missing };
}

/** Says it where it can't be overlooked. */
export function tellMissing(name: string, why: string): Missing {
  console.error(`*** ${name} is NOT measured: ${why}`);
  return { name, why };
}

/** The baseline and its rival; undefined when there is no rival. */
export function duelOf({ running }: Field): readonly [RunningPeer, RunningPeer] | undefined {
  const find = ({ name }: Peer) => running.find(({ peer }) => peer.name === name)?.server;
  const [ours, theirs] = [find(baseline), find(rival)];
  return ours && theirs && [ours, theirs];
}
