/** What guards lanes: who may read, by which host, for how long a head may take, and how much is published. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { answersOf, askLane, connectToLane, fedOf, handedOverOf } from '../support/lane-answers.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';

const size = 50_000;
const path = '/regions/file.bin';
const content = seededBytes(size, 7);
const token = (of: string) => `Authorization: Bearer ${of.repeat(40)}\r\n`;

async function startGuarded(t: TestContext) {
  const readTokenFile = join(makeFolder(t, 'tmpfs'), 'tokens');
  const allow = (...users: string[]) => {
    writeFileSync(`${readTokenFile}.new`, users.map((user) => `${user.repeat(40)}\n`).join(''));
    renameSync(`${readTokenFile}.new`, readTokenFile);
  };
  allow('a', 'b');
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 7);
  return { running: await startService(t, { engine: 'sendfile', regions: [file], readTokenFile, lanes: 2 }), allow };
}

test('of several users on one connection each is judged by the request’s own token', async (t) => {
  const { running } = await startGuarded(t);
  const client = await connectToLane(t, running, { path, fields: token('a') });
  await askLane(running, client, { path, fields: token('b') });
  for (let again = 0; again < 20; again++) {
    for (const [fields, status] of [
      [token('a'), 206],
      ['', 401],
      [token('c'), 401],
      [token('b'), 206],
      [token('a').toUpperCase(), 401],
    ] as const) {
      client.get(path, '0-9', fields);
      assert.equal((await client.response()).status, status, fields);
    }
  }
  assert.ok(answersOf(running) >= 40 && fedOf(running, 'guard') >= 60);
  client.destroy();
});

test('a token that is taken away under load is refused on every connection, and the others are served on', async (t) => {
  const { running, allow } = await startGuarded(t);
  const users = await Promise.all(
    Array.from({ length: 10 }, async (_, at) => {
      const fields = token(at % 2 ? 'a' : 'b');
      return { isGoing: at % 2 === 1, fields, client: await connectToLane(t, running, { path, fields }) };
    }),
  );
  let isOver = false;
  const seen = new Map<RawClient, number>();
  const loads = users.map(async ({ client, fields }) => {
    while (!isOver) {
      client.get(path, '0-999', fields);
      const { status, body } = await client.response();
      assert.ok(status === 401 || body.equals(content.subarray(0, 1000)), `${status}`);
      assert.ok(status !== 206 || seen.get(client) !== 401, 'never again');
      seen.set(client, status);
    }
  });
  allow('b');
  await until(() => users.every(({ isGoing, client }) => !isGoing || seen.get(client) === 401), 'it is refused');
  const before = answersOf(running);
  await until(() => answersOf(running) > before + 50, 'lanes answer the others');
  isOver = true;
  await Promise.all(loads);
  for (const { isGoing, client } of users) assert.equal(seen.get(client), isGoing ? 401 : 206);
});

test('an unknown host behind a known one is refused, on the same connection', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 7);
  const running = await startService(t, { regions: [file], allowHosts: ['files.example'] });
  const client = await connectToLane(t, running, { path });
  for (let again = 0; again < 5; again++) {
    for (const [host, status] of [
      ['localhost', 206],
      ['files.example', 206],
      ['evil.example', 421],
      ['localhost.evil.example', 421],
    ] as const) {
      client.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nRange: bytes=0-9\r\n\r\n`);
      assert.equal((await client.response()).status, status, host);
    }
  }
  client.destroy();
});

test('a head that does not go on is a 408, and ends its connection', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 7);
  const running = await startService(t, { regions: [file] }, ({ app: { server } }) => {
    Object.assign(server, { headersTimeout: 1000, requestTimeout: 1000 });
  });
  const [fresh, used] = [await RawClient.connect(t, running.port), await connectToLane(t, running, { path })];
  for (const client of [fresh, used]) client.write(`GET ${path} HTTP/1.1\r\nHost: loc`);
  for (const client of [fresh, used]) {
    assert.equal((await client.response()).status, 408);
    assert.equal((await client.rest()).bytes, 0);
  }
  assert.equal(handedOverOf(running, 'late'), 2);
});

test('thousands of regions are published, and each is answered with its own bytes', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const count = 3000;
  for (let at = 0; at < count; at++) writeFileSync(join(dir, `r${at}`), `region ${at}`.padEnd(64, '.'));
  const running = await startService(t, { dir });
  const client = await RawClient.connect(t, running.port);
  for (const round of [1, 2]) {
    for (let at = 0; at < count; at++) {
      client.get(`/regions/r${at}`);
      const { status, body } = await client.response();
      assert.equal(`${status} ${body}`, `200 ${`region ${at}`.padEnd(64, '.')}`, `round ${round}`);
    }
  }
  await until(
    () => answersOf(running) > count / 2,
    'most of the second round by lanes',
    () => answersOf(running),
  );
  t.diagnostic(
    `by lanes: ${answersOf(running)} of ${2 * count}; published: ${running.service.relay.counters().published}`,
  );
  client.destroy();
});
