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
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compileClient, runLoad } from './client/load.ts';
import { type Profile, profileOf } from './copies/symbols.ts';
import { describeMachine } from './measure/machine.ts';
import { choosePins, type Pins, pinned } from './measure/pin.ts';
import { renderRows } from './report/table.ts';
import { type Command, startServer } from './run/process.ts';
import { pathOf, type RegionFile, writeRegionFile } from './run/region-file.ts';
import { RunScope } from './run-scope.ts';

const run = promisify(execFile);
const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
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
  readonly region: RegionFile;
  readonly pins: Pins | undefined;
  readonly client: Command;
  readonly seconds: number;
};

/** Why perf can't be used; undefined when it can. */
async function perfMissing(folder: string): Promise<string | undefined> {
  try {
    await run('perf', ['record', '-q', '-e', 'cpu-clock', '-o', join(folder, 'try'), '--', 'true']);
    return undefined;
  } catch (error) {
    const { code, stderr = '' } = error as { code?: string; stderr?: string };
    return code === 'ENOENT'
      ? 'perf is not there (Debian: apt-get install linux-perf)'
      : `perf fails: ${stderr.trim()}`;
  }
}

async function count(bench: Bench, engine: string): Promise<Counted> {
  const { scope, region, pins, client, folder, seconds } = bench;
  const flags = ['--port', '0', '--log-level', 'warn', '--drain', '1', '--engine', engine];
  const serve: Command = [process.execPath, cli, 'serve', ...flags, '--region', `region.bin=${pathOf(region)}`];
  const { pid, port } = await startServer(scope, pinned(pins?.server, serve));
  const load = { port, path: '/regions/region.bin', connections, size: rangeBytes, regionBytes };
  await runLoad(client, { ...load, seconds: warmUpSeconds, seed: 1 }, scope.signal);
  const data = join(folder, `${engine}.data`);
  const [loaded] = await Promise.all([
    runLoad(client, { ...load, seconds, seed: 2 }, scope.signal),
    record(pid, data, seconds),
  ]);
  if (loaded.errors > 0) throw new Error(`${loaded.errors} responses by ${engine} were wrong: ${loaded.firstError}`);
  const script = await run('perf', ['script', '-i', data, '-F', 'ip,sym,dso'], { maxBuffer: 2 ** 28 });
  return { engine, profile: profileOf(script.stdout), gigabytes: loaded.bytes / 1e9 };
}

function record(pid: number, data: string, seconds: number) {
  const sampling = ['-q', '-e', 'cpu-clock', '-F', String(samplesPerSecond), '-p', String(pid), '-o', data];
  return run('perf', ['record', ...sampling, '--', 'sleep', String(seconds)]);
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
    const client = pinned(pins?.client, [await compileClient(folder)]);
    const region = writeRegionFile(scope.folder('/dev/shm'), regionBytes);
    const counted: Counted[] = [];
    for (const engine of engines) {
      counted.push(await count({ scope, folder, region, pins, client, seconds }, engine));
      console.error(`${engine} is counted`);
    }
    console.log(report(counted, seconds, pins));
    return 0;
  } finally {
    await scope.end();
  }
}

process.exitCode = await main(Number(process.argv[2] ?? 4));
