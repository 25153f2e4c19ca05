/**
 * What scraping costs: `node test/observe/scrape-cost.ts [ROUNDS]`. A service with 1,000 regions, each of them read and
 * so told of, is scraped every 100 ms, 150 times as often as Prometheus does unless told otherwise; idle, and beside
 * readers. Prints the CPU time of a scrape, and the readers' latencies without and with it (docs/metrics.md).
 *
 * @module
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median } from '../../loadtest/report/statistics.ts';
import { originOf, start, startCli } from '../support/process.ts';
import { writeRegion } from '../support/regions.ts';

type Latencies = { readonly requests: number; readonly p50: number; readonly p99: number };
type Phase = { readonly cores: number; readonly scrapes: number };

const regions = 1000;
const scrapeEvery = 100; // milliseconds
const seconds = 3;
const warmUp = 100; // scrapes, after which Node has compiled what they run
const load = fileURLToPath(new URL('./scrape-load.ts', import.meta.url));
const cleanUps: (() => unknown)[] = [];
const scope = { after: (cleanUp: () => unknown) => void cleanUps.push(cleanUp) };

const dir = mkdtempSync('/dev/shm/pagerelay-scrape-');
scope.after(() => rmSync(dir, { recursive: true }));
const names = Array.from({ length: regions }, (_, at) => `region-${at}.bin`);
for (const [at, name] of names.entries()) writeRegion(dir, name, 4096, at + 1);
const service = startCli(scope, ['serve', '--port', '0', '--dir', dir, '--log-level', 'warn']);
const origin = await originOf(service);
for (const name of names) await (await fetch(`${origin}/regions/${name}`)).arrayBuffer();

try {
  await report();
} finally {
  for (const cleanUp of cleanUps.reverse()) cleanUp();
}

async function report(): Promise<void> {
  for (let each = 1; each < warmUp; each++) await scrape();
  const text = await scrape();
  const told = text.match(/^pagerelay_region_info\{/gm)?.length;
  console.log(`one scrape: ${text.length} bytes, ${text.match(/^[^#\n]/gm)?.length} samples, ${told} regions`);
  const still = await phase(false, delay(seconds * 1000));
  const scraped = await phase(true, delay(seconds * 1000));
  const cost = ((scraped.cores - still.cores) * seconds) / scraped.scrapes;
  console.log(`idle: ${percent(still.cores)} of a core; scraped every ${scrapeEvery} ms: ${percent(scraped.cores)}`);
  console.log(`a scrape: ${(cost * 1000).toFixed(2)} ms of CPU; every 15 s: ${percent(cost / 15)} of a core`);
  const p99 = { false: [] as number[], true: [] as number[] };
  for (let round = 0; round < Number(process.argv[2] ?? 3); round++) {
    for (const scraping of ['false', 'true'] as const) p99[scraping].push(await besideReaders(scraping === 'true'));
  }
  const [without, beside] = [median(p99.false), median(p99.true)];
  console.log(`median p99: ${without.toFixed(2)} ms unscraped, ${beside.toFixed(2)} ms scraped`);
}

/** Gives the readers' p99. */
async function besideReaders(scraping: boolean): Promise<number> {
  const client = start(scope, process.execPath, [load, origin, String(seconds)]);
  client.process.stdin.end(JSON.stringify(names));
  const { cores } = await phase(scraping, client.exited);
  const { requests, p50, p99 } = JSON.parse(client.stdout()) as Latencies;
  const latencies = `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`;
  const rate = Math.round(requests / seconds);
  console.log(`${scraping ? 'scraped  ' : 'unscraped'}: ${rate} requests/s, ${percent(cores)} of a core, ${latencies}`);
  return p99;
}

async function phase(scraping: boolean, during: Promise<unknown>): Promise<Phase> {
  const before = { cpu: cpuSeconds(), time: performance.now() };
  let over = false;
  let scrapes = 0;
  const ended = during.then(() => {
    over = true;
  });
  while (scraping && !over) {
    await Promise.all([scrape(), delay(scrapeEvery)]);
    scrapes++;
  }
  await ended;
  const cores = (cpuSeconds() - before.cpu) / ((performance.now() - before.time) / 1000);
  return { cores, scrapes };
}

async function scrape(): Promise<string> {
  const headers = { accept: 'application/openmetrics-text; version=1.0.0' };
  return (await fetch(`${origin}/metrics`, { headers })).text();
}

/** Of the service's process: each thread's first field is the time that it ran, in nanoseconds. */
function cpuSeconds(): number {
  const threads = readdirSync(`/proc/${service.process.pid}/task`);
  const ran = threads.map(
    (id) => readFileSync(`/proc/${service.process.pid}/task/${id}/schedstat`, 'utf8').split(' ')[0],
  );
  return ran.reduce((sum, nanoseconds) => sum + Number(nanoseconds) / 1e9, 0);
}

function percent(cores: number): string {
  return `${(cores * 100).toFixed(2)} %`;
}
