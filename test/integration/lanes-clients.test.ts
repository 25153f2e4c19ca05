/** Clients are answered by lanes, with the right bytes; many of them, and patient ones. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { Agent, get } from 'node:http';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Pool } from 'undici';
import type { Service } from '../../src/service.ts';
import { countOpen } from '../support/descriptors.ts';
import { connectionsOf, outcomesOf, untilReturned, warmUp } from '../support/holds.ts';
import { answersOf, askLane, connectToLane, untilNoneRead } from '../support/lane-answers.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, type RegionFile, seededBytes, sha256, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const size = 3_000_000;
const path = '/regions/file.bin';
const content = seededBytes(size, 91);

type Fixture = Running & { readonly file: RegionFile };

async function start(t: TestContext, options = {}): Promise<Fixture> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 91);
  return { ...(await startService(t, { engine: 'sendfile', lanes: 2, regions: [file], ...options })), file };
}

const rangeAt = (at: number, length = 4096) => {
  const first = (at * 104_729) % (size - length);
  return { first, last: first + length - 1, field: `bytes=${first}-${first + length - 1}` };
};

test('a pool of undici', async (t) => {
  const running = await start(t);
  const pool = new Pool(running.origin, { connections: 4, pipelining: 1 });
  let asked = 0;
  const ask = async () => {
    while (asked < 1000) {
      const { first, last, field } = rangeAt(asked++);
      const { statusCode, body } = await pool.request({ method: 'GET', path, headers: { range: field } });
      assert.equal(statusCode, 206);
      assert.ok(Buffer.from(await body.arrayBuffer()).equals(content.subarray(first, last + 1)));
    }
  };
  await Promise.all(Array.from({ length: 4 }, ask));
  await pool.close();
  await until(
    () => answersOf(running) >= 996,
    'all but first requests',
    () => answersOf(running),
  );
});

test('a pool of undici that pipelines', async (t) => {
  const running = await start(t);
  const pool = new Pool(running.origin, { connections: 2, pipelining: 8 });
  const asked = Array.from({ length: 600 }, async (_, at) => {
    const { first, last, field } = rangeAt(at);
    const { statusCode, body } = await pool.request({
      method: 'GET',
      path,
      headers: { range: field },
      idempotent: true,
    });
    assert.equal(statusCode, 206);
    assert.ok(Buffer.from(await body.arrayBuffer()).equals(content.subarray(first, last + 1)));
  });
  await Promise.all(asked);
  await pool.close();
  await until(
    () => answersOf(running) > 500,
    'most by lanes',
    () => answersOf(running),
  );
});

test('an agent of node:http', async (t) => {
  const running = await start(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let at = 0; at < 200; at++) {
    const { first, last, field } = rangeAt(at);
    const body = await new Promise<Buffer>((resolve, reject) => {
      get(`${running.origin}${path}`, { agent, headers: { range: field } }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)));
      }).on('error', reject);
    });
    assert.ok(body.equals(content.subarray(first, last + 1)));
  }
  agent.destroy();
  await until(
    () => answersOf(running) === 199,
    'all but the first',
    () => answersOf(running),
  );
});

test('curl with many addresses on one connection', async (t) => {
  const running = await start(t);
  const url = `${running.origin}${path}`;
  const parts = Array.from({ length: 30 }, (_, at) => rangeAt(at, 100));
  const args = parts.flatMap(({ first, last }, at) => [
    ...(at === 0 ? [] : ['--next']),
    '-sS',
    '-r',
    `${first}-${last}`,
    url,
  ]);
  const { stdout } = await promisify(execFile)('curl', args, { encoding: 'buffer' });
  assert.ok(stdout.equals(Buffer.concat(parts.map(({ first, last }) => content.subarray(first, last + 1)))));
  const whole = await promisify(execFile)('curl', ['-sS', ...Array.from({ length: 8 }, () => url)], {
    encoding: 'buffer',
    maxBuffer: 1 << 28,
  });
  assert.equal(sha256(whole.stdout), sha256(Buffer.concat(Array.from({ length: 8 }, () => content))));
  await until(
    () => answersOf(running) >= 36,
    'all but first ones',
    () => answersOf(running),
  );
});

test('a client that keeps ten requests under way at any time', async (t) => {
  const running = await start(t);
  const client = await connectToLane(t, running, { path });
  const before = answersOf(running);
  for (let at = 0; at < 10; at++) client.get(path, rangeAt(at).field.slice('bytes='.length));
  for (let at = 0; at < 2000; at++) {
    const { first, last } = rangeAt(at);
    assert.ok((await client.response()).body.equals(content.subarray(first, last + 1)), `answer ${at}`);
    if (at + 10 < 2000) client.get(path, rangeAt(at + 10).field.slice('bytes='.length));
  }
  client.destroy();
  await until(
    () => answersOf(running) - before === 2000,
    'all by lanes',
    () => answersOf(running) - before,
  );
});

test('a thousand connections that repeat requests, and then are gone, leave nothing', async (t) => {
  const running = await start(t);
  const before = await warmUp(t, running, 'file.bin');
  await t.test('a thousand clients', async (t) => {
    const clients: RawClient[] = [];
    while (clients.length < 1000) {
      const some = Array.from({ length: 100 }, () => RawClient.connect(t, running.port));
      clients.push(...(await Promise.all(some)));
    }
    for (let round = 0; round < 5; round++) {
      for (const [at, client] of clients.entries()) client.get(path, rangeAt(at + round).field.slice('bytes='.length));
      const right = clients.map(async (client, at) => {
        const { first, last } = rangeAt(at + round);
        return (await client.response()).body.equals(content.subarray(first, last + 1));
      });
      assert.ok((await Promise.all(right)).every(Boolean), `round ${round}`);
    }
    await until(
      () => answersOf(running) > 4000,
      'most of 5000 by lanes',
      () => answersOf(running),
    );
    for (const [at, client] of clients.entries()) at % 2 === 0 ? client.destroy() : client.reset();
  });
  await untilNoneRead(running);
  await untilReturned(running, before);
  await until(async () => (await connectionsOf(running)) === 0, 'Node has no connection');
  assert.ok(countOpen().descriptors <= before.descriptors);
});

/** Times out early whatever can be timed out. */
function beImpatient({ app: { server } }: Service): void {
  Object.assign(server, { keepAliveTimeout: 1000, headersTimeout: 1000, requestTimeout: 1000 });
  server.setTimeout(300);
}

test('no timer ends a body that a lane sends to a slow reader', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  // Both are longer than any socket's queue: a body that is with the socket is followed by the time of an idle connection.
  const sizes = { 'file.bin': 16 << 20, 'large.bin': 40 << 20 };
  const regions = Object.entries(sizes).map(([name, size]) => writeRegion(dir, name, size, size));
  const running = await startService(t, { engine: 'sendfile', regions }, beImpatient);
  for (const region of regions) {
    const name = `/regions/${region.name}`;
    const expected = seededBytes(region.size, region.size);
    const digest = sha256(expected);
    const client = await connectToLane(t, running, { path: name });
    client.get(name, '0-');
    const head = await client.head();
    assert.equal(head.status, 206);
    await delay(3000); // Nothing to wait for: it is what does not happen meanwhile.
    // At once: the connection may not be idle for long.
    client.get(name, '0-9');
    assert.equal(Number(head.fields.get('content-length')), region.size);
    assert.equal(await client.hash(region.size), digest);
    assert.ok((await client.response()).body.equals(expected.subarray(0, 10)), 'and it goes on');
    client.destroy();
  }
});

test('a reader that reads nothing is broken off when pages were held for too long', async (t) => {
  const large = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 40 << 20, 92);
  const running = await startService(t, { engine: 'sendfile', regions: [large], maxHold: 0.5 });
  const client = await connectToLane(t, running, { path });
  client.get(path, '0-');
  await client.head();
  await until(
    () => outcomesOf(running.service).stalled === 1,
    'it is broken off',
    () => outcomesOf(running.service),
  );
  const { bytes } = await client.rest();
  assert.ok(bytes < large.size, `${bytes} bytes`);
  await untilReturned(running, { descriptors: 1e9, pipes: 1e9, mappings: 1e9 });
  assert.equal(bytesOf(large.path, 0, 9).length, 10);
});

test('lanes share the connections', async (t) => {
  const running = await start(t, { lanes: 3 });
  const clients = await Promise.all(Array.from({ length: 12 }, () => RawClient.connect(t, running.port)));
  for (const client of clients) await askLane(running, client, { path });
  const before = answersOf(running);
  for (let round = 0; round < 50; round++) {
    for (const [at, client] of clients.entries())
      client.get(path, rangeAt(at * round, 65_000).field.slice('bytes='.length));
    for (const [at, client] of clients.entries()) {
      const { first, last } = rangeAt(at * round, 65_000);
      assert.ok((await client.response()).body.equals(content.subarray(first, last + 1)));
    }
  }
  await until(
    () => answersOf(running) - before === 600,
    'all by lanes',
    () => answersOf(running) - before,
  );
  for (const client of clients) client.destroy();
});
