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
import { choosePins, pinned } from './measure/pin.ts';
import { type BenchOptions, parseBenchOptions, UsageError, usage } from './options.ts';
import { regionBytes } from './parts/bench-run.ts';
import { measureServers } from './parts/servers.ts';
import { measureWriting, steady } from './parts/writing.ts';
import { allPeers, baseline } from './peers/all.ts';
import { type Report, renderReport } from './report/markdown.ts';
import type { Sample } from './run/rounds.ts';
import { RunScope } from './run-scope.ts';
import { waitSeconds } from './writer/writing.ts';

async function bench(scope: RunScope, options: BenchOptions, command: string): Promise<boolean> {
  const machine = describeMachine();
  const pins = choosePins();
  const folder = scope.folder(tmpdir());
  const client = pinned(pins?.client, [await compileClient(folder)]);
  const run = { scope, options, pins, folder, client };
  const servers = options.parts.includes('servers') ? await measureServers(run) : undefined;
  const writing = options.parts.includes('writing') ? await measureWriting(run) : undefined;
  const { rounds, seconds, connections } = options;
  const report = {
    ...{ machine, pins, command, rounds, seconds, connections, regionBytes },
    ...{ baseline: baseline.name, missing: [], tables: [] },
    ...servers,
    peers: [...(servers?.peers ?? []), ...(writing?.services ?? [])],
    writing: writing && { ...steady, waitSeconds, tables: writing.tables },
  };
  return publish(report, [...(servers?.samples ?? []), ...(writing?.samples ?? [])], options.out);
}

// Figures of a run with wrong responses mean nothing: they are shown, and not kept.
function publish(report: Report, samples: readonly Sample[], out: string): boolean {
  const text = renderReport(report);
  console.log(text);
  const errors = samples.reduce((sum, { load, writes }) => sum + load.errors + (writes?.errors ?? 0), 0);
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
