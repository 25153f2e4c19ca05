/** What a steady writer costs the readers of a region: the same service without one, beside one, and after one. @module */
import { setTimeout as delay } from 'node:timers/promises';
import { fileSystemOf } from '../measure/file-system.ts';
import { pinned } from '../measure/pin.ts';
import { startWritable } from '../peers/pagerelay.ts';
import type { RunningPeer } from '../peers/peer.ts';
import { tell } from '../report/progress.ts';
import { summarizeWriting, type WritingTable } from '../report/writing.ts';
import type { Command } from '../run/process.ts';
import { oneRegion, regionBytes, writeRegionFile } from '../run/region-file.ts';
import { measure, type Sample, warmUp } from '../run/rounds.ts';
import { startWriter } from '../writer/writer.ts';
import { type BenchRun, driverOf, memoryFolder, serverPin } from './bench-run.ts';

/** Of what readers ask for, in bytes. */
const sizes = [2 ** 16, 2 ** 20] as const;

/** What the writer does. */
export const steady = { rate: 100, size: 2 ** 16 } as const;

// Code that runs a hundred times a second stays cold for a minute: a service that has been written to for longer is what
// is measured.
const writerWarmUp = { rate: 1000, samples: 10 } as const;

// /var/tmp survives a restart (file-hierarchy(7)), so it is on a disk; /tmp often is not.
const parents = [memoryFolder, '/var/tmp'];

/** What was measured. */
export type WritingPart = {
  readonly services: readonly { readonly name: string; readonly about: string }[];
  readonly tables: readonly WritingTable[];
  readonly samples: readonly Sample[];
};

/** Measures readers with and without a writer, on each file system. */
export async function measureWriting(run: BenchRun): Promise<WritingPart> {
  const parts: WritingPart[] = [];
  for (const [fileSystem, parent] of placesHere()) parts.push(await measureOn(run, fileSystem, parent));
  return {
    services: parts.flatMap(({ services }) => services),
    tables: parts.flatMap(({ tables }) => tables),
    samples: parts.flatMap(({ samples }) => samples),
  };
}

function placesHere(): Map<string, string> {
  const places = new Map(parents.map((parent) => [fileSystemOf(parent), parent]));
  if (places.size < parents.length) console.error('*** a region on a disk is NOT measured: /var/tmp is in memory too');
  return places;
}

async function measureOn(run: BenchRun, fileSystem: string, parent: string): Promise<WritingPart> {
  const peers = await startStates(run, run.scope.folder(parent));
  const samples: Sample[] = [];
  const { rounds, seconds, connections } = run.options;
  const driver = driverOf(run, run.pins);
  await warmUp(driver, peers.slice(0, 2), { size: sizes[0], connections, seconds });
  for (const size of sizes) {
    for await (const sample of measure(driver, peers, { size, connections, seconds }, rounds)) {
      samples.push(sample);
      tell(sample, `${fileSystem}, `);
    }
  }
  const services = peers.slice(0, 1).map(({ about }) => ({ name: `pagerelay --writable on ${fileSystem}`, about }));
  return { services, tables: summarizeWriting(fileSystem, samples), samples };
}

// One service with two regions, of which one is never written to: what writing leaves behind shows as well.
async function startStates(run: BenchRun, folder: string): Promise<RunningPeer[]> {
  const { scope, pins } = run;
  const quiet = writeRegionFile(folder, regionBytes, 'quiet.bin');
  const written = writeRegionFile(folder, regionBytes, 'written.bin');
  const context = { scope, sizes, folder: run.folder, pin: serverPin(pins) };
  const service = await startWritable({ ...context, regions: oneRegion(quiet) });
  const at = service.endpoint(0);
  const toWritten = { ...at, path: at.path.replace(quiet.name, written.name), region: written };
  const pinClient = (command: Command) => pinned(pins?.client, command);
  const writer = startWriter(scope, pinClient, { port: at.port, path: toWritten.path, ...steady, regionBytes });
  writer.start(writerWarmUp.rate);
  await delay(writerWarmUp.samples * run.options.seconds * 1000, undefined, { signal: scope.signal });
  await writer.end();
  const { about } = service;
  return [
    { name: 'none', about, endpoint: () => at },
    { name: 'steady', about, endpoint: () => toWritten, writer },
    { name: 'none any more', about, endpoint: () => toWritten },
  ];
}
