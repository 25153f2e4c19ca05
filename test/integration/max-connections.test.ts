/** As many connections as there may be, and one more: who closes, who is refused, and that the others are served. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../support/poll.ts';
import { originOf, start } from '../support/process.ts';
import { EndedEarly, RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const mebibyte = 1 << 20;

const whoAccepts = { lanes: true, Node: false } as const;

async function serve(t: TestContext, express: boolean, maxConnections: number) {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 32 * mebibyte, 271);
  return { file, running: await startService(t, { express, maxConnections, regions: [file] }) };
}

/** A new connection, answered, and idle for whoever has it. */
async function visit(t: TestContext, { port, service }: Running): Promise<RawClient> {
  const client = await RawClient.connect(t, port);
  const before = countOf(service);
  await askRange(client);
  await until(() => countOf(service) > before, 'the answer is over');
  return client;
}

function countOf({ relay }: Running['service']): number {
  const { complete } = relay.counters().transmissions.sendfile;
  return complete;
}

async function askRange(client: RawClient): Promise<void> {
  client.get('/regions/file.bin', '5-104');
  const { status, body } = await client.response();
  assert.deepEqual([status, body.length], [206, 100]);
}

async function limitedIn({ origin }: Running): Promise<Record<string, number>> {
  const text = await (await fetch(`${origin}/metrics`)).text();
  const lines = text.matchAll(/^pagerelay_limited_total\{reason="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, reason = '', count]) => [reason, Number(count)]));
}

for (const [who, express] of Object.entries(whoAccepts)) {
  test(`the connection closes that was idle longest, where ${who} accept${express ? '' : 's'}`, async (t) => {
    const { running } = await serve(t, express, 3);
    const clients = [await visit(t, running), await visit(t, running), await visit(t, running)];
    const [first, second, third] = clients as [RawClient, RawClient, RawClient];
    await askRange(first);
    await until(() => countOf(running.service) === 4, 'that is over');
    const fourth = await visit(t, running);
    assert.deepEqual(await second.rest().then(({ bytes, error }) => [bytes, error]), [0, undefined]);
    const fifth = await visit(t, running);
    assert.equal((await third.rest()).bytes, 0);
    for (const client of [first, fourth, fifth]) await askRange(client);
    for (const client of [first, fourth, fifth]) client.destroy();
    const { idle_closed: closed = 0, connections: refused } = await limitedIn(running);
    assert.ok(closed >= 2 && closed <= 3, `${closed} were closed, for the scrape maybe one of them`);
    assert.equal(refused, 0);
  });

  test(`where none is idle the new one is refused by 503, and the others go on, where ${who} accept${express ? '' : 's'}`, async (t) => {
    const { running, file } = await serve(t, express, 2);
    const busy: RawClient[] = [];
    for (let each = 0; each < 2; each++) {
      const client = await RawClient.connect(t, running.port);
      client.get('/regions/file.bin');
      assert.equal((await client.head()).status, 200);
      busy.push(client);
    }
    for (let again = 0; again < 3; again++) {
      const late = await RawClient.connect(t, running.port);
      const { status, fields } = await late.response();
      assert.deepEqual([status, fields.get('retry-after'), fields.get('connection')], [503, '1', 'close']);
      assert.equal((await late.rest()).bytes, 0);
    }
    for (const client of busy) assert.ok((await client.take(file.size)).equals(bytesOf(file.path, 0, file.size - 1)));
    const next = await visit(t, running);
    for (const client of [...busy, next]) client.destroy();
    assert.equal((await limitedIn(running)).connections, 3);
  });
}

for (const [descriptors, flags, reserve = 0] of [
  [64, []],
  [256, ['--reserve-descriptors', '150'], 150],
  [256, ['--no-express']],
  [20_000, ['--max-connections', '20']],
] as const) {
  const what = `${descriptors} descriptors${flags.length > 0 ? ` and ${flags.join(' ')}` : ''}`;
  test(`with ${what} every new client is served, and so are lists and metrics, however many stay idle`, async (t) => {
    const folder = makeFolder(t, 'tmpfs');
    const files = Array.from({ length: 40 }, (_, at) => writeRegion(folder, `${at}.bin`, 4096, at));
    const args = ['serve', '--port', '0', '--lanes', '1', '--dir', folder, '--drain', '0', '--access-log', 'off'];
    const child = start(t, 'prlimit', [`--nofile=${descriptors}`, process.execPath, cli, ...args, ...flags]);
    const port = Number(new URL(await originOf(child)).port);
    const clients: RawClient[] = [];
    for (let each = 0; each < 300; each++) {
      const client = await RawClient.connect(t, port);
      clients.push(client);
      const file = files[each % files.length] ?? assert.fail();
      client.get(`/regions/${file.name}`, '0-99');
      const { status, body } = await client.response().catch((error) => assert.fail(`client ${each}: ${error}`));
      assert.equal(status, 206, `client ${each}: ${body}`);
      assert.ok(body.equals(bytesOf(file.path, 0, 99)));
    }
    const last = clients.at(-1) ?? assert.fail();
    last.get('/regions');
    const list = await last.response();
    const { regions } = JSON.parse(list.body.toString()) as { regions: unknown[] };
    assert.deepEqual([list.status, regions.length], [200, files.length]);
    last.get('/metrics');
    const metrics = (await last.response()).body.toString();
    const closed = /^pagerelay_limited_total\{reason="idle_closed"\} (\d+)$/m.exec(metrics)?.[1];
    assert.ok(Number(closed) >= 300 - (descriptors - reserve), `${closed} idle connections were closed`);
    assert.match(metrics, /^pagerelay_limited_total\{reason="connections"\} 0$/m);
    await until(() => child.stdout().includes('no room for a new connection'), 'it is logged', child.stdout);
    await assert.rejects(
      (clients[0] ?? assert.fail()).take(1),
      (error: unknown) => error instanceof EndedEarly,
      'the first was idle longest',
    );
  });
}
