/**
 * `npm run bench`: measures pagerelay beside other servers of the same file, and writes docs/benchmarks.md.
 * Exit codes: 0, 1 (something failed, or a response was wrong), 2 (usage), 130 (interrupted).
 *
 * @module
 */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { compileClient } from './client/load.ts';
import { describeMachine } from './measure/machine.ts';
import { choosePins, type Pins, pinned } from './measure/pin.ts';
import { type BenchOptions, parseBenchOptions, UsageError, usage } from './options.ts';
import { allPeers, baseline } from './peers/all.ts';
import type { Peer, RunningPeer } from './peers/peer.ts';
import { compare } from './report/comparison.ts';
import { type Report, renderReport } from './report/markdown.ts';
import { writeNumber, writeSize } from './report/units.ts';
import { writeRegionFile } from './run/region-file.ts';
import { measure, type Sample } from './run/rounds.ts';
import { RunScope } from './run-scope.ts';

const regionBytes = 64 * 2 ** 20;
const memoryFolder = '/dev/shm';

async function bench(scope: RunScope, options: BenchOptions, command: string): Promise<boolean> {
  const machine = describeMachine();
  const pins = choosePins();
  const { here, missing } = whatRunsHere(options.peers);
  const folder = scope.folder(tmpdir());
  const client = pinned(pins?.client, [await compileClient(folder)]);
  const peers = await startAll(scope, options, folder, here, pins);
  const { rounds, seconds, sizes, connections } = options;
  const samples: Sample[] = [];
  const plan = { peers, sizes, rounds, seconds, connections, regionBytes, client, signal: scope.signal };
  for await (const sample of measure(plan)) {
    samples.push(sample);
    tell(sample);
  }
  const measured = { machine, pins, command, rounds, seconds, connections, regionBytes, peers, missing };
  return publish(
    { ...measured, baseline: baseline.name, tables: compare(samples, baseline.name) },
    samples,
    options.out,
  );
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

async function startAll(
  scope: RunScope,
  { sizes }: BenchOptions,
  folder: string,
  peers: readonly Peer[],
  pins: Pins | undefined,
): Promise<RunningPeer[]> {
  const region = writeRegionFile(scope.folder(memoryFolder), regionBytes);
  const running: RunningPeer[] = [];
  for (const peer of peers) {
    running.push(await peer.start({ scope, region, sizes, folder, pin: (command) => pinned(pins?.server, command) }));
  }
  return running;
}

function tell({ peer, size, round, load, cpuSeconds }: Sample): void {
  const rate = writeNumber(load.requests / load.seconds);
  const cpu = writeNumber((cpuSeconds / load.requests) * 1e6);
  const wrong = load.errors > 0 ? `  *** ${load.errors} WRONG: ${load.firstError}` : '';
  console.error(`${writeSize(size)}, round ${round}: ${peer}: ${rate} requests/s, ${cpu} µs of CPU each${wrong}`);
}

// Figures of a run with wrong responses mean nothing: they are shown, and not kept.
function publish(report: Report, samples: readonly Sample[], out: string): boolean {
  const text = renderReport(report);
  console.log(text);
  const errors = samples.reduce((sum, { load }) => sum + load.errors, 0);
  if (errors > 0) {
    console.error(`${errors} responses were wrong: ${out} is not written`);
    return false;
  }
  writeFileSync(out, text);
  console.error(`written to ${resolve(out)}`);
  return true;
}

async function main(argv: readonly string[]): Promise<number> {
  const options = parseBenchOptions(argv, [...allPeers.keys()], regionBytes);
  const command = ['npm run bench', ...(argv.length > 0 ? ['--', ...argv] : [])].join(' ');
  const scope = new RunScope();
  try {
    return (await bench(scope, options, command)) ? 0 : 1;
  } catch (error) {
    if (!scope.signal.aborted) throw error;
    console.error('interrupted: nothing is written');
    return 130;
  } finally {
    await scope.end();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(isUsage ? `${error.message}\n\n${usage([...allPeers.keys()])}` : error);
  process.exitCode = isUsage ? 2 : 1;
}
