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
import { congestionControl, describeMachine } from './measure/machine.ts';
import { choosePins } from './measure/pin.ts';
import { type BenchOptions, parseBenchOptions, UsageError, usage } from './options.ts';
import { measureAll } from './parts/all.ts';
import { allPeers, baseline, floor, rival, usualPeers } from './peers/all.ts';
import { pagerelayCopyBelow } from './peers/pagerelay.ts';
import { renderReport } from './report/markdown.ts';
import { regionBytes, wholeBytes } from './run/region-file.ts';
import { WrongAnswer } from './run/rounds.ts';
import { RunScope } from './run-scope.ts';

const peerWords = [...allPeers.keys()];
const cast = { baseline: baseline.name, rival: rival.name, floor: floor.name, copyBelow: pagerelayCopyBelow.name };

async function bench(scope: RunScope, options: BenchOptions, command: string): Promise<void> {
  const began = performance.now();
  const machine = describeMachine();
  const pins = choosePins();
  const folder = scope.folder(tmpdir());
  const client = [await compileClient(folder)] as const;
  const measured = await measureAll({ scope, options, pins, folder, client });
  const minutes = (performance.now() - began) / 60_000;
  const { rounds, seconds, connections } = options;
  const conditions = {
    machine,
    congestionControl: congestionControl(),
    pins,
    command,
    minutes,
    rounds,
    seconds,
    connections,
    regionBytes,
    wholeBytes,
    cast,
  };
  const text = renderReport({ ...conditions, ...measured });
  console.log(text);
  writeFileSync(options.out, text);
  console.error(`written to ${resolve(options.out)}`);
}

async function main(argv: readonly string[]): Promise<number> {
  const options = parseBenchOptions(argv, peerWords, usualPeers, wholeBytes);
  const command = ['npm run bench', ...(argv.length > 0 ? ['--', ...argv] : [])].join(' ');
  const scope = new RunScope();
  try {
    await bench(scope, options, command);
    return 0;
  } catch (error) {
    if (scope.signal.aborted) {
      console.error('interrupted: nothing is written');
      return 130;
    }
    if (!(error instanceof WrongAnswer)) throw error;
    console.error(`*** ${error.message}: nothing is written`);
    return 1;
  } finally {
    await scope.end();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(isUsage ? `${error.message}\n\n${usage(peerWords)}` : error);
  process.exitCode = isUsage ? 2 : 1;
}
