/**
 * What the page costs the service: `node test/page/cost.ts [SECONDS]`. Its CPU time, all threads, with nobody watching and
 * with five viewers, while nothing is held and while many readers wait. Prints a table (docs/page.md) and fails where
 * the viewers cost 1 % of a core or more.
 *
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { until } from '../support/poll.ts';
import { start } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import type { Scope } from '../support/scope.ts';

const viewers = 5;
const most = 0.01;
const seconds = Number(process.argv[2] ?? 20);
const warmUpMilliseconds = 3000;
const fixture = fileURLToPath(new URL('../support/serve-fixture.ts', import.meta.url));

type Row = {
  readonly held: number;
  readonly alone: number;
  readonly watched: number;
  readonly events: number;
  readonly bytes: number;
};

const cleanUps: (() => unknown)[] = [];
const scope: Scope = { after: (cleanUp) => void cleanUps.push(cleanUp) };
try {
  const rows: Row[] = [];
  for (const held of [0, 10, 100, 1000, 5000]) rows.push(await measure(held));
  print(rows);
  if (rows.some(({ alone, watched }) => watched - alone >= most)) process.exitCode = 1;
} finally {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
}

async function measure(held: number): Promise<Row> {
  const service = start(scope, process.execPath, [fixture, JSON.stringify({ maxHold: 300 })]);
  await until(() => /port \d+/.test(service.stdout()), 'the service listens');
  const port = Number(/port (\d+)/.exec(service.stdout())?.[1]);
  const readers = [];
  for (let at = 0; at < held; at++) {
    const reader = await RawClient.connect(scope, port);
    reader.get('/regions/demo', `${at * 4096}-${at * 4096 + 8_000_000}`);
    readers.push(reader);
  }
  await delay(warmUpMilliseconds);
  const pid = service.process.pid ?? 0;
  const alone = await busyOf(pid);
  const watching = await watch(port);
  await delay(warmUpMilliseconds);
  const before = watching.read();
  const watched = await busyOf(pid);
  const { events, bytes } = watching.read();
  for (const each of [...readers, ...watching.clients]) each.destroy();
  service.process.kill('SIGKILL');
  await service.exited;
  const frames = (events - before.events) / viewers;
  return {
    held,
    alone,
    watched,
    events: frames / seconds,
    bytes: (bytes - before.bytes) / viewers / Math.max(1, frames),
  };
}

/** CPU seconds of all threads in a second, over the time that is measured. */
async function busyOf(pid: number): Promise<number> {
  const before = cpuSeconds(pid);
  await delay(seconds * 1000);
  return (cpuSeconds(pid) - before) / seconds;
}

// Nanoseconds that each thread has run (proc(5), schedstat). No thread comes or goes while this measures.
function cpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const ran = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  );
  return ran.reduce((sum, each) => sum + each, 0) / 1e9;
}

async function watch(port: number) {
  let events = 0;
  let bytes = 0;
  const clients: RawClient[] = [];
  for (let at = 0; at < viewers; at++) {
    const client = await RawClient.connect(scope, port);
    client.get('/page/live');
    client.socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      events += chunk.toString('latin1').split('data: ').length - 1;
      client.socket.resume();
    });
    client.socket.resume();
    clients.push(client);
  }
  return { clients, read: () => ({ events, bytes }) };
}

function print(rows: readonly Row[]): void {
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  console.log(
    `| readers that wait | nobody watches | ${viewers} viewers | difference | events a second | bytes of one |`,
  );
  console.log('| ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const { held, alone, watched, events, bytes } of rows) {
    const cells = [
      held,
      percent(alone),
      percent(watched),
      percent(watched - alone),
      events.toFixed(1),
      Math.round(bytes),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}
