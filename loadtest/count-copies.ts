/**
 * Counts copies from outside: puts the service under load with each engine, samples its process with perf, and tells
 * which share of the samples was taken in the kernel's copying routines. Prints Markdown.
 *
 * `node loadtest/count-copies.ts [SECONDS]`; exit codes: 0, 1 (something failed), 77 (perf is not there).
 *
 * @module
 */
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type CClient, compileClient, runC } from './clients/c.ts';
import type { Job } from './clients/job.ts';
import { describeMachine } from './measure/machine.ts';
import { choosePins, type Pins, pinned } from './measure/pin.ts';
import { renderRows } from './report/table.ts';
import { RunScope } from './run/run-scope.ts';
import { growTree, memoryFolder, regionNames, type Tree } from './run/tree.ts';
import { variant } from './servers/pagerelay.ts';
import { start } from './servers/server.ts';
import { type Profile, profileOf } from './symbols.ts';

const run = promisify(execFile);
const engines = ['sendfile', 'splice', 'zerocopy', 'copy', 'stream'] as const;
const regionBytes = 64 * 2 ** 20;
const rangeBytes = 2 ** 20;
const connections = 16;
const warmUpSeconds = 1;
/** A second; no multiple of the kernel's own clock. */
const samplesPerSecond = 997;
const symbolsShown = 3;
const skipped = 77;

type Counted = { readonly engine: string; readonly profile: Profile; readonly gigabytes: number };

type Bench = {
  readonly scope: RunScope;
  readonly folder: string;
  readonly tree: Tree;
  readonly pins: Pins | undefined;
  readonly client: CClient;
  readonly seconds: number;
};

/** Why perf can't be used; undefined when it can. */
async function perfMissing(folder: string): Promise<string | undefined> {
  try {
    await run('perf', ['record', '-q', '-e', 'cpu-clock', '-o', join(folder, 'try'), '--', 'true']);
    return undefined;
  } catch (error) {
    const { code, stderr = '' } = error as { code?: string; stderr?: string };
    return code === 'ENOENT' ? 'it is not there (Debian: apt-get install linux-perf)' : stderr.trim();
  }
}

async function count({ scope, tree, pins, client, folder, seconds }: Bench, engine: string): Promise<Counted> {
  const setup = { log: false, tokens: [], socket: 'tcp', processors: 1, writable: false, size: 0 } as const;
  const server = variant(engine, ['--engine', engine]);
  const { pid, port } = await start(scope, server, setup, tree, (command) => pinned(pins?.server, command));
  const job: Job = {
    ...{ client: 'c', origin: `http://127.0.0.1:${port}`, host: '127.0.0.1', path: server.path(regionNames) },
    ...{ regionBytes: tree.regionBytes, seconds: warmUpSeconds, most: 1e9, seed: 1, tokens: [], etags: [] },
    ...{ scenario: { pattern: 'random', size: rangeBytes, connections }, reference: undefined, checkEvery: 1 },
  };
  await runC(client, job, scope.signal);
  const data = join(folder, `${engine}.data`);
  const load = runC(client, { ...job, seconds, seed: 2 }, scope.signal);
  const sampling = ['-q', '-e', 'cpu-clock', '-F', String(samplesPerSecond), '-p', String(pid), '-o', data];
  const recorded = run('perf', ['record', ...sampling, '--', 'sleep', String(seconds)]);
  const [{ faults, faultCount, bytes }] = await Promise.all([load, recorded]);
  if (faults[0]) throw new Error(`${faultCount} responses by ${engine} were wrong: ${faults[0].detail}`);
  const script = await run('perf', ['script', '-i', data, '-F', 'ip,sym,dso'], { maxBuffer: 2 ** 28 });
  return { engine, profile: profileOf(script.stdout), gigabytes: bytes / 1e9 };
}

function rowOf({ engine, profile, gigabytes }: Counted): string[] {
  const { samples, copying, symbols } = profile;
  const share = (count: number) => `${((100 * count) / Math.max(1, samples)).toFixed(1)} %`;
  const shown = symbols.filter(({ copies }) => copies).slice(0, symbolsShown);
  const names = shown.map(({ name, samples }) => `\`${name}\` ${share(samples)}`).join(', ');
  return [`\`${engine}\``, names || 'none', String(samples), share(copying), (copying / gigabytes).toFixed(1)];
}

function report(counted: readonly Counted[], seconds: number, pins: Pins | undefined): string {
  const machine = describeMachine();
  const heads = ['engine', 'in which', 'samples', 'in copying routines', 'a GB'];
  return [
    renderRows(heads, counted.map(rowOf), 2),
    '',
    `${machine.date} UTC, ${machine.kernel}, ${machine.processors} × ${machine.processor}, Node ${machine.node}: ` +
      `\`perf record -e cpu-clock -F ${samplesPerSecond}\` on the service for ${seconds} s at ranges of 1 MiB of a file ` +
      `on tmpfs, ${connections} connections over loopback, ` +
      (pins ? 'server and client on a processor each.' : 'nothing pinned.'),
  ].join('\n');
}

async function main(seconds: number): Promise<number> {
  const scope = new RunScope();
  try {
    const folder = scope.folder(tmpdir());
    const missing = await perfMissing(folder);
    if (missing !== undefined) {
      console.error(`*** SKIPPED, no copies are counted: ${missing}`);
      return skipped;
    }
    const pins = choosePins();
    const client = { command: pinned(pins?.client, [await compileClient(folder)]), folder };
    const tree = growTree(scope.folder(memoryFolder), 1, regionBytes, false);
    const counted: Counted[] = [];
    for (const engine of engines) {
      counted.push(await count({ scope, folder, tree, pins, client, seconds }, engine));
      console.error(`${engine} is counted`);
    }
    console.log(report(counted, seconds, pins));
    return 0;
  } finally {
    await scope.end();
  }
}

process.exitCode = await main(Number(process.argv[2] ?? 4));
