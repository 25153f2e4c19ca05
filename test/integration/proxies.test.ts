/** Proxies in front: whom they name is the client in the log, by lanes and by Node alike. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../support/poll.ts';
import { type Child, originOf, startCli } from '../support/process.ts';
import { four, headers, proxyHeader, wrongHeaders } from '../support/proxy-header.ts';
import { RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, writeRegion } from '../support/regions.ts';

type Place = 'proxy' | 'plain' | 'six' | 'unix';

/** What is sent where, and who the client is then. */
type Case = {
  readonly place: Place;
  readonly header?: Buffer;
  readonly fields?: readonly string[];
  readonly client: string;
};

const forwarded = (...values: string[]) => values.map((value) => `X-Forwarded-For: ${value}`);

const cases: readonly Case[] = [
  { place: 'proxy', header: headers.four, client: '192.0.2.1' },
  { place: 'proxy', header: headers.six, client: '2001:db8::1' },
  { place: 'proxy', header: headers.unix, client: '127.0.0.1' },
  { place: 'proxy', header: headers.local, client: '127.0.0.1' },
  { place: 'proxy', header: headers.unspecified, client: '127.0.0.1' },
  { place: 'proxy', header: headers.tlvs, client: '192.0.2.1' },
  { place: 'proxy', header: headers.summed, client: '192.0.2.1' },
  { place: 'unix', header: headers.four, client: '192.0.2.1' },
  { place: 'unix', header: headers.local, client: 'unix:' },
  { place: 'unix', header: headers.local, fields: forwarded('203.0.113.5'), client: '203.0.113.5' },
  // A client that is not trusted itself can not say that it is another.
  { place: 'proxy', header: headers.four, fields: forwarded('203.0.113.5'), client: '192.0.2.1' },
  { place: 'proxy', header: headers.trusted, fields: forwarded('203.0.113.5'), client: '203.0.113.5' },
  { place: 'plain', client: '127.0.0.1' },
  { place: 'plain', fields: forwarded('203.0.113.5, 10.1.1.1'), client: '203.0.113.5' },
  { place: 'plain', fields: forwarded('198.51.100.1', '203.0.113.5', '10.1.1.1'), client: '203.0.113.5' },
  { place: 'plain', fields: forwarded('[2001:DB8::5]:80'), client: '2001:db8::5' },
  { place: 'plain', fields: forwarded('unknown'), client: '127.0.0.1' },
  { place: 'six', fields: forwarded('203.0.113.5'), client: '::1' },
  { place: 'six', fields: forwarded('203.0.113.5', '203.0.113.6'), client: '::1' },
];

type Scene = { readonly child: Child; readonly dir: string; connect(place: Place): Promise<RawClient> };

async function serve(t: TestContext, flags: readonly string[]): Promise<Scene> {
  const folder = makeFolder(t, 'tmpfs');
  const dir = join(folder, 'tree');
  mkdirSync(dir);
  for (const at of cases.keys()) writeRegion(dir, `f${at}`, 3000, at + 1);
  const path = join(folder, 'proxy.sock');
  const places = ['127.0.0.1:0,proxy', '127.0.0.1:0', '[::1]:0,proxy', `unix:${path},proxy`];
  const trusted = ['127.0.0.0/8', '10.0.0.0/8', 'unix:'].flatMap((proxy) => ['--trusted-proxy', proxy]);
  const child = startCli(t, [
    'serve',
    '--dir',
    dir,
    ...places.flatMap((each) => ['--listen', each]),
    ...trusted,
    ...flags,
  ]);
  await until(
    () => child.stderr().includes('curl'),
    'it listens',
    () => child.stderr(),
  );
  const ports = [...child.stderr().matchAll(/listens on http:\S+:(\d+)/g)].map(([, port]) => Number(port));
  const [proxy = 0, plain = 0, six = 0] = ports;
  return {
    child,
    dir,
    connect(place) {
      if (place === 'unix') return RawClient.connect(t, path);
      if (place === 'six') return RawClient.connect(t, six, '::1');
      return RawClient.connect(t, place === 'proxy' ? proxy : plain);
    },
  };
}

/** Sends it in pieces, of which the last is the longest. */
async function sendInPieces(client: RawClient, bytes: Buffer): Promise<void> {
  client.socket.setNoDelay(true);
  for (let at = 0, length = 1; at < bytes.length; at += length, length = length * 3 + 1) {
    client.socket.write(bytes.subarray(at, at + length));
    await delay(1);
  }
}

async function askForEach(t: TestContext, { dir, connect }: Scene): Promise<void> {
  for (const [at, { place, header, fields = [] }] of cases.entries()) {
    const client = await connect(place);
    t.after(() => client.destroy());
    if (header) await sendInPieces(client, header);
    for (let round = 0; round < 3; round++) {
      client.get(`/regions/f${at}`, '10-109', fields.map((field) => `${field}\r\n`).join(''));
      const { status, body } = await client.response();
      assert.equal(status, 206);
      assert.ok(body.equals(bytesOf(join(dir, `f${at}`), 10, 109)));
    }
    client.destroy();
  }
}

/** Whom the log names for each case. */
function loggedIn(text: string, combined: boolean): string[][] {
  const line = combined
    ? /^(?<client>\S+) - - .* "GET \/regions\/f(?<at>\d+) /gm
    : /"url":"\/regions\/f(?<at>\d+)",.*"remoteAddress":"(?<client>[^"]*)"/g;
  const found: string[][] = cases.map(() => []);
  for (const { groups = {} } of text.matchAll(line)) found[Number(groups.at)]?.push(groups.client ?? '');
  return found;
}

for (const [kind, flags] of [
  ['lanes', []],
  ['lanes, in the combined format', ['--access-log-format', 'combined']],
  ['Node', ['--no-express']],
] as const) {
  test(`whom a trusted proxy names is the client in the log of ${kind}, and who sends no right header is closed`, async (t) => {
    const scene = await serve(t, flags);
    await askForEach(t, scene);
    for (const [at, header] of wrongHeaders.entries()) {
      const client = await scene.connect('proxy');
      client.socket.end(header);
      assert.equal((await client.rest()).bytes, 0, `${at} is answered by nothing`);
    }
    const cut = await scene.connect('proxy');
    cut.socket.end(headers.four.subarray(0, 20));
    assert.equal((await cut.rest()).bytes, 0);
    const stranger = await scene.connect('six'); // It is no proxy, and its header is no request.
    stranger.socket.end(headers.four);
    assert.equal((await stranger.response()).status, 400);
    scene.child.process.kill('SIGTERM');
    assert.deepEqual(await scene.child.exited, { code: 0, signal: null }, scene.child.stderr());
    const ofLanes = scene.child.stdout().match(/"reqId":"lane-/g)?.length ?? 0;
    if (kind === 'lanes') assert.ok(ofLanes > cases.length, 'lanes answer most of them');
    const logged = loggedIn(scene.child.stdout(), kind.includes('combined'));
    for (const [at, { client }] of cases.entries())
      assert.deepEqual(logged[at], [client, client, client], `case ${at}`);
  });
}

for (const [kind, flags] of [
  ['lanes', []],
  ['Node', ['--no-express']],
] as const) {
  test(`limits of addresses are those of the clients that a proxy asks for, and it has none itself, by ${kind}`, async (t) => {
    const limits = ['--requests-per-second', '1', '--request-burst', '4', '--max-connections-per-address', '3'];
    const scene = await serve(t, [...flags, ...limits, '--access-log', 'off']);
    const proxy = await scene.connect('plain');
    const ask = async (client: RawClient, fields = '') => {
      client.get('/regions/f0', '0-9', fields);
      return (await client.response()).status;
    };
    const askOften = async (fields: string) => {
      const statuses: number[] = [];
      for (let round = 0; round < 30; round++) statuses.push(await ask(proxy, fields));
      return new Set(statuses);
    };
    assert.deepEqual(await askOften(''), new Set([206]), 'the proxy itself');
    for (const client of ['192.0.2.1', '2001:db8::1'])
      assert.deepEqual(await askOften(`X-Forwarded-For: ${client}\r\n`), new Set([206, 429]), client);
    assert.equal(await ask(proxy, 'X-Forwarded-For: 192.0.2.200\r\n'), 206, 'another client is served');
    assert.equal(await ask(proxy, 'X-Forwarded-For: 2001:db8::2\r\n'), 429, 'one of the same network is not');
    const named = async (header: Buffer) => {
      const client = await scene.connect('proxy');
      t.after(() => client.destroy());
      client.socket.write(header);
      client.get('/readyz');
      return (await client.response()).status;
    };
    const fifth = proxyHeader(0x21, 0x11, [192, 0, 2, 5, ...four.slice(4)]);
    const sixth = proxyHeader(0x21, 0x11, [192, 0, 2, 6, ...four.slice(4)]);
    for (let count = 0; count < 3; count++) assert.equal(await named(fifth), 200);
    assert.equal(await named(fifth), 429, 'the fourth connection of a client');
    assert.equal(await named(sixth), 200, 'the first of another');
    for (let count = 0; count < 6; count++) assert.equal(await named(headers.local), 200, 'of the proxy itself');
    proxy.destroy();
  });
}

test('a connection keeps the client that a proxy has named where another process takes it over', async (t) => {
  const args = ['--listen', '127.0.0.1:0,proxy', '--trusted-proxy', '127.0.0.0/8'];
  const child = startCli(t, ['serve', ...args]);
  const client = await RawClient.connect(t, Number(new URL((await originOf(child)).split(',')[0] ?? '').port));
  client.socket.write(headers.four);
  const ask = async () => {
    client.get('/regions/demo', '0-9', 'X-Forwarded-For: 203.0.113.5\r\n');
    assert.equal((await client.response()).status, 206);
  };
  await ask();
  const gone = once(child.process, 'exit');
  child.process.kill('SIGUSR2');
  await gone;
  await ask();
  const named = /"pid":(\d+),.*"url":"\/regions\/demo",.*"remoteAddress":"([^"]*)"/g;
  const lines = () => [...child.stdout().matchAll(named)].map(([, pid, address]) => ({ pid: Number(pid), address }));
  await until(() => lines().length === 2, 'both are logged', child.stdout);
  const [before, after] = lines();
  assert.deepEqual([before?.address, after?.address], ['192.0.2.1', '192.0.2.1']);
  assert.notEqual(before?.pid, after?.pid);
  client.destroy();
  process.kill(after?.pid ?? 0, 'SIGTERM');
  await child.exited;
});
