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
import { describeMachine } from './measure/machine.ts';
import { choosePins, pinned } from './measure/pin.ts';
import { renderRows } from './report/text.ts';
import { jobOf } from './run/contender.ts';
import { Field } from './run/field.ts';
import { RunScope } from './run/run-scope.ts';
import { variant } from './servers/pagerelay.ts';
import { profileOf } from './symbols.ts';

const run = promisify(execFile);
const engines = ['sendfile', 'splice', 'zerocopy', 'copy', 'stream'];
const asked = { pattern: 'random', size: 2 ** 20, connections: 16 } as const;
const scenario = { name: 'copies', about: 'large chunks', ...asked, against: 'nobody' } as const;
/** Of the processor's clock, so many a second: no multiple of the kernel's own ticks. */
const sampling = ['-q', '-e', 'cpu-clock', '-F', '997'];
const skipped = 77;

/** Why perf can't be used; undefined when it can. */
async function perfMissing(folder: string): Promise<string | undefined> {
  try {
    await run('perf', ['record', ...sampling, '-o', join(folder, 'try'), '--', 'true']);
    return undefined;
  } catch (error) {
    const { code, stderr = '' } = error as { code?: string; stderr?: string };
    return code === 'ENOENT' ? 'it is not there (Debian: apt-get install linux-perf)' : stderr.trim();
  }
}

/** The row of one engine. */
function count(scope: RunScope, field: Field, client: CClient, engine: string, seconds: number): Promise<string[]> {
  return field.withServerAlone(scenario, variant(engine, ['--engine', engine]), async (contender) => {
    const load = (lasting: number, seed: number) =>
      runC(client, jobOf(contender, asked, { seconds: lasting, most: 1e9, clients: 'fast' }, seed), scope.signal);
    await load(1, 1);
    const data = join(client.folder, `${engine}.data`);
    const record = ['record', ...sampling, '-p', String(contender.pid), '-o', data, '--', 'sleep', String(seconds)];
    const [{ faults, faultCount, bytes }] = await Promise.all([load(seconds, 2), run('perf', record)]);
    if (faults[0]) throw new Error(`${faultCount} responses by ${engine} were wrong: ${faults[0].detail}`);
    const report = ['report', '-i', data, '--stdio', '-q', '--no-children', '-F', 'sample,symbol', '-t', ';'];
    const { samples, copying, symbols } = profileOf((await run('perf', report)).stdout);
    const share = (part: number) => `${((100 * part) / Math.max(1, samples)).toFixed(1)} %`;
    const most = symbols.filter(({ copies }) => copies).slice(0, 3);
    const names = most.map((symbol) => `\`${symbol.name}\` ${share(symbol.samples)}`).join(', ');
    return [`\`${engine}\``, names || 'none', String(samples), share(copying), (copying / (bytes / 1e9)).toFixed(1)];
  });
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
    const field = new Field({ scope, pins: choosePins, clock: () => 0 }, [], []);
    const rows: string[][] = [];
    for (const engine of engines) {
      rows.push(await count(scope, field, client, engine, seconds));
      console.error(`${engine} is counted`);
    }
    const { date, kernel, processors, processor, node } = describeMachine();
    console.log(`${renderRows(['engine', 'in which', 'samples', 'in copying routines', 'a GB'], rows, 2)}

${date} UTC, ${kernel}, ${processors} × ${processor}, Node ${node}: \`perf record ${sampling.slice(1).join(' ')}\` on \
the service for ${seconds} s at ranges of 1 MiB of a file on tmpfs, ${asked.connections} connections over loopback, \
${pins ? 'server and client on a processor each' : 'nothing pinned'}.`);
    return 0;
  } finally {
    await scope.end();
  }
}

process.exitCode = await main(Number(process.argv[2] ?? 4));
