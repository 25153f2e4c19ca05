/** pagerelay beside other servers of the same file. @module */
import { pinned } from '../measure/pin.ts';
import { allPeers, baseline } from '../peers/all.ts';
import type { Peer, RunningPeer } from '../peers/peer.ts';
import { compare, type SizeTable } from '../report/comparison.ts';
import { tell } from '../report/progress.ts';
import { writeRegionFile } from '../run/region-file.ts';
import { measure, type Sample } from '../run/rounds.ts';
import { type BenchRun, memoryFolder, planOf, regionBytes } from './bench-run.ts';

/** What was measured, and what could not be. */
export type ServersPart = {
  readonly peers: readonly RunningPeer[];
  readonly missing: readonly { readonly name: string; readonly why: string }[];
  readonly tables: readonly SizeTable[];
  readonly samples: readonly Sample[];
};

/** Measures every server that is asked for and runs here. */
export async function measureServers(run: BenchRun): Promise<ServersPart> {
  const { here, missing } = whatRunsHere(run.options.peers);
  const peers = await startAll(run, here);
  const samples: Sample[] = [];
  for await (const sample of measure({ ...planOf(run), peers, sizes: run.options.sizes })) {
    samples.push(sample);
    tell(sample);
  }
  return { peers, missing, tables: compare(samples, baseline.name), samples };
}

function whatRunsHere(words: readonly string[]) {
  const peers = words.flatMap((word) => allPeers.get(word) ?? []);
  const missing = peers.flatMap((peer) => {
    const why = peer.missing();
    return why === undefined ? [] : [{ name: peer.name, why }];
  });
  for (const { name, why } of missing) console.error(`*** ${name} is NOT measured: ${why}`);
  return { here: peers.filter(({ name }) => !missing.some((each) => each.name === name)), missing };
}

async function startAll(run: BenchRun, peers: readonly Peer[]): Promise<RunningPeer[]> {
  const { scope, folder, pins, options } = run;
  const region = writeRegionFile(scope.folder(memoryFolder), regionBytes);
  const pin = (command: Parameters<typeof pinned>[1]) => pinned(pins?.server, command);
  const running: RunningPeer[] = [];
  for (const peer of peers) running.push(await peer.start({ scope, region, sizes: options.sizes, folder, pin }));
  return running;
}
