/** Connections that lanes accept: Node hears of those alone that ask for what lanes do not answer. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Agent, request } from 'undici';
import type { Service } from '../../src/service.ts';
import { countOpen } from '../support/descriptors.ts';
import { connectionsOf, referencesOf } from '../support/holds.ts';
import { answersOf, readByLanes, untilNoneRead } from '../support/lane-answers.ts';
import { endless } from '../support/limits.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, sha256, writeRegion } from '../support/regions.ts';
import { overwriting } from '../support/requests.ts';
import { type Running, startService } from '../support/service.ts';
import { put, send, startWritable } from '../support/writable.ts';

const size = 200_000;
const path = '/regions/file.bin';
const content = seededBytes(size, 71);

async function start(t: TestContext, options = {}) {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 71);
  return { ...(await startService(t, { regions: [file], ...options })), file };
}

/** One request on a connection of its own. */
async function visit(t: TestContext, { port }: Running, range = '0-9', fields = '') {
  const client = await RawClient.connect(t, port);
  client.get(path, range, fields);
  const response = await client.response();
  client.destroy();
  return response;
}

/** One request, on a connection that is kept. */
async function comeToStay(t: TestContext, { port }: Running): Promise<RawClient> {
  const client = await RawClient.connect(t, port);
  client.get(path, '0-9');
  await client.response();
  return client;
}

/** Asks until a lane answers. */
async function makeKnown(t: TestContext, running: Running, fields = ''): Promise<void> {
  const before = answersOf(running);
  await until(async () => (await visit(t, running, '0-9', fields)) && answersOf(running) > before, 'it is known');
}

const accepted = ({ service }: Running) => service.relay.counters().acceptedConnections;
const connections = ({ service }: Running) => service.relay.counters().connections;

test('a client that asks once for what is known, and goes, is never seen by Node', async (t) => {
  const running = await start(t);
  let seen = 0;
  running.service.app.server.on('connection', () => seen++);
  await makeKnown(t, running);
  const before = { seen, answers: answersOf(running), accepted: accepted(running) };
  for (let at = 0; at < 50; at++) {
    const { status, body, fields } = await visit(t, running, `${at}-${at + 999}`);
    assert.equal(status, 206);
    assert.ok(body.equals(content.subarray(at, at + 1000)));
    assert.equal(fields.get('content-range'), `bytes ${at}-${at + 999}/${size}`);
  }
  await until(() => answersOf(running) - before.answers === 50, 'all by lanes');
  assert.equal(accepted(running) - before.accepted, 50);
  assert.equal(seen, before.seen);
  await until(() => connections(running) === 0, 'all are closed');
  assert.deepEqual(await referencesOf(running), []);
});

test('each of several requests that are known is answered, on one connection and on many', async (t) => {
  const running = await start(t);
  for (const fields of ['X: a\r\n', 'X: b\r\n']) await makeKnown(t, running, fields);
  const client = await RawClient.connect(t, running.port);
  const before = answersOf(running);
  for (let at = 0; at < 20; at++) {
    client.get(path, `${at}-${at}`, at % 2 ? 'X: a\r\n' : 'X: b\r\n');
    assert.equal((await client.response()).body[0], content[at]);
  }
  await until(() => answersOf(running) - before === 20, 'all by lanes');
  client.destroy();
});

test('what nobody has asked for before is Node’s, on a connection that a lane has answered on too', async (t) => {
  const running = await start(t);
  await makeKnown(t, running);
  const client = await RawClient.connect(t, running.port);
  client.get(path, '5-9');
  assert.ok((await client.response()).body.equals(content.subarray(5, 10)));
  client.get('/regions/none');
  assert.equal((await client.response()).status, 404);
  client.get(path, '7-9,20-29');
  assert.equal((await client.response()).status, 206);
  assert.equal(await connectionsOf(running), 1);
  client.destroy();
  await until(async () => (await connectionsOf(running)) === 0, 'Node counts it until it has gone');
});

test('the server tells its address, and is closed once, as ever', async (t) => {
  const { service, port } = await start(t);
  const { server } = service.app;
  assert.deepEqual(server.address(), { address: '127.0.0.1', family: 'IPv4', port });
  assert.equal(server.listening, true);
  server.unref();
  server.ref();
  server.close();
  await once(server, 'close');
  assert.equal(server.listening, false);
  assert.equal(server.address(), null);
  const [error] = await once(new Socket().connect(port, '127.0.0.1'), 'error');
  assert.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED');
  await assert.rejects(new Promise((resolve, reject) => server.close((e) => (e ? reject(e) : resolve(0)))), {
    code: 'ERR_SERVER_NOT_RUNNING',
  });
});

const beImpatient = ({ app: { server } }: Service) => {
  server.keepAliveTimeout = 1000;
};

/** What a connection has asked for before it is idle. */
const idle: Readonly<Record<string, (client: RawClient) => Promise<unknown>>> = {
  nothing: async () => {},
  'what a lane answers': (client) => get(client, path),
  'what Node answers': (client) => get(client, '/healthz'),
  'what Node answers, and then a lane': async (client) => {
    await get(client, '/regions/none');
    await get(client, path);
  },
};

async function get(client: RawClient, target: string): Promise<void> {
  client.get(target);
  await client.response();
}

for (const [what, ask] of Object.entries(idle)) {
  test(`a connection that has asked for ${what} is closed when it has been idle for as long as Node would wait`, async (t) => {
    const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 71);
    const running = await startService(t, { regions: [file] }, beImpatient);
    await makeKnown(t, running);
    const idleFrom = performance.now();
    const client = await RawClient.connect(t, running.port);
    await ask(client);
    assert.deepEqual(await client.rest(), { bytes: 0, sha256: sha256(Buffer.alloc(0)), error: undefined });
    assert.ok(performance.now() - idleFrom >= 1000, 'not before');
    await until(async () => connections(running) + (await connectionsOf(running)) === 0, 'all are closed');
  });
}

test('closing does not wait for connections that are idle, whether Node has answered on them or not', async (t) => {
  const running = await start(t, { drain: endless });
  await makeKnown(t, running);
  const clients = [
    await comeToStay(t, running),
    await comeToStay(t, running),
    await RawClient.connect(t, running.port),
  ];
  for (const client of clients.slice(1, 2)) await get(client, '/healthz');
  await until(() => readByLanes(running) === clients.length, 'lanes read all of them');
  assert.equal(await running.close(), true);
  for (const client of clients) assert.equal((await client.rest()).bytes, 0);
});

test('closing lets who is in mid-body have all of it, and closes who is idle at once', async (t) => {
  const running = await start(t, { drain: endless });
  await makeKnown(t, running);
  const idle = await comeToStay(t, running);
  const silent = await RawClient.connect(t, running.port);
  const slow = await RawClient.connect(t, running.port);
  slow.get(path, `0-${size - 1}`);
  await slow.head();
  const closing = running.close();
  assert.equal((await idle.rest()).bytes, 0);
  assert.equal((await silent.rest()).bytes, 0);
  assert.ok((await slow.take(size)).equals(content));
  assert.equal((await slow.rest()).bytes, 0);
  assert.equal(await closing, true, 'without waiting for the drain time');
});

test('a token that is taken away is refused on new connections', async (t) => {
  const readTokenFile = join(makeFolder(t, 'tmpfs'), 'tokens');
  writeFileSync(readTokenFile, `${'a'.repeat(40)}\n`);
  const running = await start(t, { readTokenFile });
  const fields = `Authorization: Bearer ${'a'.repeat(40)}\r\n`;
  for (let again = 0; again < 5; again++) assert.equal((await visit(t, running, '0-9', fields)).status, 206);
  assert.ok(answersOf(running) > 0, 'a lane has answered');
  writeFileSync(`${readTokenFile}.new`, `${'b'.repeat(40)}\n`);
  renameSync(`${readTokenFile}.new`, readTokenFile);
  await until(async () => (await visit(t, running, '0-9', fields)).status === 401, 'it is refused');
  for (let again = 0; again < 5; again++) assert.equal((await visit(t, running, '0-9', fields)).status, 401);
});

test('a new connection never gets what was there before a change', async (t) => {
  const running = await startWritable(t, 'tmpfs', { engine: 'sendfile' });
  let expected = content;
  await put(t, running, 'file.bin', expected);
  for (let turn = 0; turn < 30; turn++) {
    if (turn % 10 === 0) await makeKnown(t, running);
    if (turn % 2) {
      expected = seededBytes(size, 100 + turn);
      await put(t, running, 'file.bin', expected);
    } else {
      const piece = seededBytes(5000, 200 + turn);
      assert.equal((await send(t, running, overwriting(path, 1000 * turn, piece, 5))).status, 204);
      expected = Buffer.concat([expected.subarray(0, 1000 * turn), piece, expected.subarray(1000 * turn + 5000)]);
    }
    for (let again = 0; again < 3; again++) {
      const { body } = await visit(t, running, '0-99999');
      assert.ok(body.equals(expected.subarray(0, 100_000)), `turn ${turn}`);
    }
  }
  assert.ok(answersOf(running) > 0);
});

for (const [how, act] of Object.entries({
  removes: (file: string) => rmSync(file),
  replaces: (file: string) => {
    writeFileSync(`${file}.new`, seededBytes(size, 5));
    renameSync(`${file}.new`, file);
  },
})) {
  test(`who ${how} a file is noticed by a lane a moment later, on new connections`, async (t) => {
    const running = await start(t);
    await makeKnown(t, running);
    act(running.file.path);
    const isNew = async () => {
      const { status, body } = await visit(t, running);
      if (status === 206 && body.equals(content.subarray(0, 10))) return false;
      if (how === 'removes') assert.equal(status, 404);
      else assert.ok(body.equals(seededBytes(size, 5).subarray(0, 10)), 'wholly new');
      return true;
    };
    await until(isNew, 'it is noticed');
    assert.equal(await isNew(), true, 'for good');
  });
}

test('where some peers are listed as unaskable, Node accepts', async (t) => {
  const unaskable = [{ address: '192.0.2.0', prefix: 24, family: 'ipv4' }] as const;
  const running = await start(t, { unaskable });
  for (let at = 0; at < 4; at++) assert.ok((await visit(t, running)).body.equals(content.subarray(0, 10)));
  assert.equal(accepted(running), 0);
});

test('so it does without express', async (t) => {
  const running = await start(t, { express: false });
  for (let at = 0; at < 4; at++) assert.ok((await visit(t, running)).body.equals(content.subarray(0, 10)));
  assert.equal(accepted(running), 0);
});

test('thousands of new connections, by undici without keep-alive, leave nothing behind', async (t) => {
  const running = await start(t);
  await makeKnown(t, running);
  await untilNoneRead(running);
  const open = countOpen();
  const agent = new Agent({ pipelining: 0, connections: 20, keepAliveTimeout: 1 });
  t.after(() => agent.destroy());
  await Promise.all(
    Array.from({ length: 20 }, async (_, worker) => {
      for (let turn = 0; turn < 150; turn++) {
        const first = (worker * 7919 + turn * 104_729) % (size - 3000);
        const range = `bytes=${first}-${first + 2999}`;
        const { body } = await request(running.origin + path, { dispatcher: agent, reset: false, headers: { range } });
        assert.ok(Buffer.from(await body.arrayBuffer()).equals(content.subarray(first, first + 3000)));
      }
    }),
  );
  await agent.close();
  assert.ok(accepted(running) > 20);
  await until(() => connections(running) === 0, 'all are closed');
  await until(() => countOpen().descriptors <= open.descriptors, 'descriptors are closed', countOpen);
});
