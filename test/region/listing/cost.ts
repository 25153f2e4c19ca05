/**
 * What many regions cost: `node test/region/listing/cost.ts [REGIONS]`, default 100,000, in folders of 1,000 on tmpfs.
 * Prints when a service with them is ready, read-only, writable and with a quota; the CPU time of a page of the list, before
 * the tree was ever written and after; how long others wait while pages are made; and, of all pages and some reads, the
 * memory. Fails where it takes more than
 * a second, 20 ms, or 400 MB.
 *
 * @module
 */
import { linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { median } from '../../../loadtest/report/statistics.ts';
import { type Child, originOf, startCli } from '../../support/process.ts';

const regions = Number(process.argv[2] ?? 100_000);
const inFolder = Number(process.argv[3] ?? 1000);
const most = { readySeconds: 1, pageMilliseconds: 20, megabytes: 400 };
const warmUp = 30; // pages, after which Node has compiled what makes them
const reads = 200;
const mostFiles = 100_000;
const cleanUps: (() => unknown)[] = [];
const scope = { after: (cleanUp: () => unknown) => void cleanUps.push(cleanUp) };

try {
  const empty = mkdtempSync('/dev/shm/pagerelay-lists-');
  scope.after(() => rmSync(empty, { recursive: true }));
  console.log('without regions:');
  await measureStart(empty, []);
  const dir = makeRegions();
  await measureStart(dir, []);
  await measurePages(dir, 'which nobody has ever written');
  await measureStart(dir, ['--writable']);
  await measureStart(dir, ['--writable', '--max-bytes', '1TiB']);
  await measurePages(dir, 'where sidecars are looked for');
} finally {
  for (const cleanUp of cleanUps.reverse()) cleanUp();
}

function makeRegions(): string {
  const dir = mkdtempSync('/dev/shm/pagerelay-lists-');
  scope.after(() => rmSync(dir, { recursive: true }));
  const content = join(mkdtempSync('/dev/shm/pagerelay-lists-'), 'content');
  scope.after(() => rmSync(dirname(content), { recursive: true }));
  writeFileSync(content, 'x');
  for (let at = 0; at < regions; at++) {
    const folder = join(dir, `folder-${Math.floor(at / inFolder)}`, 'regions');
    if (at % inFolder === 0) mkdirSync(folder, { recursive: true });
    // A page of memory for each of a million would tell nothing more: they are names of one file.
    if (regions > mostFiles) linkSync(content, join(folder, `region-${at}.bin`));
    else writeFileSync(join(folder, `region-${at}.bin`), 'x');
  }
  console.log(`${regions} regions in ${Math.ceil(regions / inFolder)} folders`);
  return dir;
}

function serve(dir: string, flags: readonly string[]): Child {
  return startCli(scope, ['serve', '--port', '0', '--dir', dir, '--log-level', 'warn', ...flags]);
}

async function measureStart(dir: string, flags: readonly string[]): Promise<void> {
  const began = performance.now();
  const service = serve(dir, flags);
  const origin = await originOf(service);
  const { status } = await fetch(`${origin}/readyz`);
  const seconds = (performance.now() - began) / 1000;
  tell(
    `ready (${status}) ${flags.join(' ') || 'read-only'}`,
    seconds,
    most.readySeconds,
    's after its process was started',
  );
  if (flags.length > 0) await measureFirstChange(origin, began);
  service.process.kill('SIGKILL');
  await service.exited;
}

async function measureFirstChange(origin: string, began: number): Promise<void> {
  const answer = await fetch(`${origin}/regions/new`, { method: 'PUT', body: 'x', headers: { prefer: 'wait=300' } });
  const seconds = (performance.now() - began) / 1000;
  console.log(`  the first PUT: ${answer.status} ${seconds.toFixed(2)} s after its process was started`);
  await fetch(`${origin}/regions/new`, { method: 'DELETE' });
}

async function measurePages(dir: string, which: string): Promise<void> {
  console.log(`pages of a tree ${which}:`);
  const service = serve(dir, []);
  const origin = await originOf(service);
  const pid = service.process.pid ?? 0;
  await untilIdle(pid);
  for (let page = 0; page < warmUp; page++) await (await fetch(`${origin}/regions`)).arrayBuffer();
  const { costs, names } = await listAll(origin, pid);
  if (names.length !== regions) throw new Error(`${names.length} names were listed`);
  const waits = watchOthers(origin);
  await listAll(origin, pid);
  const longest = await waits.end();
  for (let at = 0; at < reads; at++) {
    const name = names[Math.floor((at * names.length) / reads)];
    await (await fetch(`${origin}/regions/${name}`)).arrayBuffer();
  }
  tell(`a page of 1,000, median of ${costs.length}`, median(costs), most.pageMilliseconds, 'ms of CPU');
  console.log(`others were answered within ${longest.toFixed(1)} ms while pages were made`);
  tell(`after all pages and ${reads} reads`, residentMegabytes(pid), most.megabytes, 'MB resident');
}

async function listAll(origin: string, pid: number): Promise<{ costs: number[]; names: string[] }> {
  const costs: number[] = [];
  const names: string[] = [];
  for (let url: string | undefined = `${origin}/regions`; url; ) {
    const before = cpuSeconds(pid);
    const response: Response = await fetch(url);
    const listed = ((await response.json()) as { regions: { name: string }[] }).regions;
    costs.push((cpuSeconds(pid) - before) * 1000);
    names.push(...listed.map(({ name }) => name));
    const [, next] = /^<(.*)>; rel="next"$/.exec(response.headers.get('link') ?? '') ?? [];
    url = next && new URL(next, url).href;
  }
  return { costs, names };
}

/** Asks for something short again and again. */
function watchOthers(origin: string): { end(): Promise<number> } {
  let over = false;
  let longest = 0;
  const watching = (async () => {
    while (!over) {
      const began = performance.now();
      await (await fetch(`${origin}/healthz`)).arrayBuffer();
      longest = Math.max(longest, performance.now() - began);
      await delay(20);
    }
  })();
  return {
    async end() {
      over = true;
      await watching;
      return longest;
    },
  };
}

function tell(what: string, value: number, limit: number, unit: string): void {
  console.log(`${what}: ${value.toFixed(2)} ${unit} (at most ${limit})`);
  if (value > limit) process.exitCode = 1;
}

// Regions are published ahead of requests: what that costs is no page's.
async function untilIdle(pid: number): Promise<void> {
  for (let before = -1; cpuSeconds(pid) - before > 0.02; await delay(500)) before = cpuSeconds(pid);
}

// Nanoseconds that each thread has run (proc(5), schedstat).
function cpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const ran = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  return ran.reduce((sum, each) => sum + Number(each), 0) / 1e9;
}

function residentMegabytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1000;
}
