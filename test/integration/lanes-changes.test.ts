/** What changes is seen by lanes: what the service does itself at once, what others do a moment later. */
import assert from 'node:assert/strict';
import { renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { NativeRelay } from '../../src/relay/native-relay.ts';
import { type Asked, answersOf, askLane, connectToLane, fedOf } from '../support/lane-answers.ts';
import { until } from '../support/poll.ts';
import { EndedEarly, RawClient, type RawResponse } from '../support/raw.ts';
import { makeFolder, overwrite, seededBytes, sha256, writeRegion } from '../support/regions.ts';
import { type Change, overwriting } from '../support/requests.ts';
import { startService } from '../support/service.ts';
import { put, send, startWritable, type Writable } from '../support/writable.ts';

const size = 200_000;
const path = '/regions/file.bin';
const old = seededBytes(size, 21);
const json = { 'content-type': 'application/json' };

async function startWithFile(t: TestContext, place: 'tmpfs' | 'ext4' = 'tmpfs', options = {}): Promise<Writable> {
  const running = await startWritable(t, place, { engine: 'sendfile', ...options });
  await put(t, running, 'file.bin', old);
  return running;
}

test('Date is that of the second, on a connection that is never idle', async (t) => {
  const running = await startWithFile(t);
  const client = await connectToLane(t, running, { path });
  const dates = new Set<string>();
  for (let asked = 0; dates.size < 4; asked++) {
    const first = (asked * 7919) % (size - 100);
    const before = Date.now();
    client.get(path, `${first}-${first + 99}`);
    const { body, fields } = await client.response();
    assert.ok(body.equals(old.subarray(first, first + 100)));
    const date = fields.get('date') ?? '';
    assert.equal(new Date(date).toUTCString(), date);
    assert.ok(Date.parse(date) > before - 1000 && Date.parse(date) <= Date.now(), `${date}, asked at ${before}`);
    dates.add(date);
  }
  assert.equal(fedOf(running), 1, 'all but the first by the lane');
  client.destroy();
});

/** A change, and what the next answer to the whole region must be. */
type Case = {
  readonly change: Change;
  readonly status: number;
  readonly after: { readonly status: number; readonly content?: Buffer };
};

const patch = { 'content-type': 'application/merge-patch+json' };
const overwritten = Buffer.concat([old.subarray(0, 50_000), seededBytes(10_000, 22), old.subarray(60_000)]);

const changes: Readonly<Record<string, Case>> = {
  'a PUT': {
    change: { method: 'PUT', path, body: seededBytes(1000, 23) },
    status: 204,
    after: { status: 200, content: seededBytes(1000, 23) },
  },
  'a PUT of the same bytes': {
    change: { method: 'PUT', path, body: old },
    status: 204,
    after: { status: 200, content: old },
  },
  'an overwrite in place': {
    change: overwriting(path, 50_000, seededBytes(10_000, 22), 10),
    status: 204,
    after: { status: 200, content: overwritten },
  },
  'a PATCH that shrinks': {
    change: { method: 'PATCH', path, fields: patch, body: Buffer.from('{"size":777}') },
    status: 204,
    after: { status: 200, content: old.subarray(0, 777) },
  },
  'a PATCH that grows': {
    change: { method: 'PATCH', path, fields: patch, body: Buffer.from(`{"size":${size + 5000}}`) },
    status: 204,
    after: { status: 200, content: Buffer.concat([old, Buffer.alloc(5000)]) },
  },
  'a DELETE': { change: { method: 'DELETE', path }, status: 204, after: { status: 404 } },
};

function checkRange({ status, fields, body }: RawResponse, content: Buffer, etag: string): void {
  assert.equal(status, 206);
  assert.equal(fields.get('content-range'), `bytes ${content.length - 10}-${content.length - 1}/${content.length}`);
  assert.ok(body.equals(content.subarray(-10)));
  assert.equal(fields.get('etag'), etag);
}

for (const place of ['tmpfs', 'ext4'] as const) {
  for (const [what, { change, status, after }] of Object.entries(changes)) {
    test(`after ${what} the next answer is the new one at once, on ${place}`, async (t) => {
      const running = await startWithFile(t, place);
      const whole = await RawClient.connect(t, running.port);
      const before = await askLane(running, whole, { path }, 'whole');
      const ranged = await connectToLane(t, running, { path }, '-10');
      const answer = await send(t, running, change);
      assert.equal(answer.status, status);
      whole.get(path);
      ranged.get(path, '-10');
      const [response, tail] = [await whole.response(), await ranged.response()];
      assert.equal(response.status, after.status);
      const { content } = after;
      if (content) {
        assert.equal(sha256(response.body), sha256(content));
        assert.notEqual(response.fields.get('etag'), before.fields.get('etag'));
        assert.equal(response.fields.get('etag'), answer.fields.get('etag') ?? response.fields.get('etag'));
        checkRange(tail, content, response.fields.get('etag') ?? '');
      } else assert.equal(tail.status, 404);
      for (const client of [whole, ranged]) client.destroy();
    });
  }
}

test('an overwrite goes through while lanes answer many connections without pause', async (t) => {
  const running = await startWithFile(t, 'ext4', { lanes: 2 });
  const clients = await Promise.all(Array.from({ length: 8 }, () => connectToLane(t, running, { path }, '0-9999')));
  let [stop, answers] = [false, 0];
  const versions = new Map([[0, old.subarray(0, 10_000)]]);
  const tags = new Map<string, string>();
  const reading = clients.map(async (client) => {
    while (!stop) {
      client.get(path, '0-9999');
      const { fields, body } = await client.response();
      const hash = sha256(body);
      assert.equal(tags.get(fields.get('etag') ?? '') ?? hash, hash, 'one tag, one content');
      tags.set(fields.get('etag') ?? '', hash);
      answers++;
    }
  });
  for (let turn = 1; turn <= 10; turn++) {
    const body = seededBytes(10_000, 100 + turn);
    versions.set(turn, body);
    assert.equal((await send(t, running, overwriting(path, 0, body, 10))).status, 204);
    const [seen, byLanes] = [answers, answersOf(running)];
    const isGoing = () => answers > seen + 20 && answersOf(running) > byLanes;
    await until(isGoing, 'readers go on, and lanes answer again');
  }
  stop = true;
  await Promise.all(reading);
  const known = new Set([...versions.values()].map(sha256));
  for (const hash of tags.values()) assert.ok(known.has(hash), 'never a mix of two versions');
  assert.ok(tags.size > 2, `${tags.size} versions were seen`);
});

for (const place of ['tmpfs', 'ext4'] as const) {
  test(`lanes go on with a region that is overwritten, by the validators that Node tells, on ${place}`, async (t) => {
    const running = await startWithFile(t, place);
    const client = await connectToLane(t, running, { path }, '-10');
    const node = await RawClient.connect(t, running.port);
    const counters = () => running.service.relay.counters();
    const unread = ['changed', 'unpublished', 'writer', 'failed'].map((reason) => fedOf(running, reason));
    for (let version = 1; version <= 5; version++) {
      const body = seededBytes(5000, 200 + version);
      const { status, fields } = await send(t, running, overwriting(path, size - 5000, body, 10));
      assert.equal(status, 204);
      const answers = answersOf(running);
      client.get(path, '-10');
      const byLane = await client.response();
      await until(() => answersOf(running) === answers + 1, 'a lane has answered', counters);
      node.get(path, '-10', 'If-None-Match: "x", "y"\r\n');
      const byNode = await node.response();
      assert.equal(answersOf(running), answers + 1, 'Node has answered');
      for (const answer of [byLane, byNode]) {
        assert.equal(answer.status, 206);
        assert.ok(answer.body.equals(body.subarray(-10)));
        assert.equal(answer.fields.get('etag'), fields.get('etag'));
        assert.equal(answer.fields.get('last-modified'), byNode.fields.get('last-modified'));
      }
      client.get(path, undefined, `If-None-Match: ${byNode.fields.get('etag')}\r\n`);
      assert.equal((await client.response()).status, 304);
      client.get(path, '-10', 'If-Range: "another"\r\n');
      assert.equal((await client.response()).status, 200);
      await until(() => answersOf(running) === answers + 3, 'the lane has answered those as well', counters);
    }
    assert.deepEqual(
      ['changed', 'unpublished', 'writer', 'failed'].map((reason) => fedOf(running, reason)),
      unread,
      'the region stays published',
    );
    for (const each of [client, node]) each.destroy();
  });
}

test('while pages are leased lanes answer for those beside them', async (t) => {
  const running = await startWithFile(t);
  const client = await connectToLane(t, running, { path }, '-10');
  const asked = Buffer.from(JSON.stringify({ region: 'file.bin', first: 0, last: 4095, ttlSeconds: 60 }));
  const lease = await send(t, running, { method: 'POST', path: '/leases', fields: json, body: asked });
  assert.equal(lease.status, 201);
  const before = { answers: answersOf(running), fed: fedOf(running) };
  client.get(path, '4096-4105');
  const { status, body } = await client.response();
  assert.deepEqual([status, body.equals(old.subarray(4096, 4106))], [206, true]);
  await until(() => answersOf(running) === before.answers + 1, 'a lane has answered');
  assert.equal(fedOf(running), before.fed);
  client.destroy();
});

test('while pages are leased no lane answers with them, and afterwards they are as they were left', async (t) => {
  const running = await startWithFile(t);
  const client = await connectToLane(t, running, { path }, '0-9');
  const before = answersOf(running);
  const asked = Buffer.from(JSON.stringify({ region: 'file.bin', first: 0, last: 4095, ttlSeconds: 60 }));
  const lease = await send(t, running, { method: 'POST', path: '/leases', fields: json, body: asked });
  assert.equal(lease.status, 201);
  overwrite(join(running.dir, 'file.bin'), 0, Buffer.from('0123456789'));
  client.get(path, '0-9');
  await until(() => running.service.relay.counters().waitingReaders === 1, 'the reader waits');
  const end = { method: 'DELETE', path: lease.fields.get('location') ?? '' };
  assert.equal((await send(t, running, end)).status, 204);
  assert.equal((await client.response()).body.toString(), '0123456789');
  assert.equal(answersOf(running), before);
  client.destroy();
});

const others: Readonly<Record<string, (path: string) => void>> = {
  'renames another file over it': (path) => {
    writeFileSync(`${path}.new`, seededBytes(5000, 31));
    renameSync(`${path}.new`, path);
  },
  'writes into it': (path) => overwrite(path, 100, Buffer.from('changed')),
  'cuts it': (path) => truncateSync(path, 5000),
  'removes it': (path) => rmSync(path),
};

for (const [what, act] of Object.entries(others)) {
  test(`lanes answer with what a file is a moment after somebody ${what}`, async (t) => {
    const dir = makeFolder(t, 'tmpfs');
    const file = writeRegion(dir, 'file.bin', size, 21);
    const running = await startService(t, { engine: 'sendfile', dir });
    let client = await RawClient.connect(t, running.port);
    const before = await askLane(running, client, { path }, '-20');
    act(file.path);
    const isNew = async () => {
      client.get(path, '-20');
      try {
        const { status, fields } = await client.response();
        return status === 404 || fields.get('etag') !== before.fields.get('etag');
      } catch (error) {
        // What is not there any more can't be sent: the answer is broken off.
        assert.ok(error instanceof EndedEarly && what === 'cuts it', String(error));
        client = await RawClient.connect(t, running.port);
        return false;
      }
    };
    await until(isNew, 'the change is seen');
    assert.equal(await isNew(), true, 'for good');
    client.destroy();
  });
}

test('a token that is taken away is refused on a connection that a lane has', async (t) => {
  const readTokenFile = join(makeFolder(t, 'tmpfs'), 'tokens');
  writeFileSync(readTokenFile, 'old\nother\n');
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 21);
  const running = await startService(t, { regions: [file], readTokenFile });
  const asked: Asked = { path, fields: 'Authorization: Bearer old\r\n' };
  const client = await connectToLane(t, running, asked);
  writeFileSync(`${readTokenFile}.new`, 'other\n');
  renameSync(`${readTokenFile}.new`, readTokenFile);
  const ask = async () => {
    client.get(path, '0-9', asked.fields);
    return (await client.response()).status;
  };
  await until(async () => (await ask()) === 401, 'it is refused');
  assert.equal(await ask(), 401);
  client.destroy();
  const still = await connectToLane(t, running, { path, fields: 'Authorization: Bearer other\r\n' });
  still.destroy();
});

const mebibyte = 1 << 20;

async function startLarge(t: TestContext, drain: number) {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 40 * mebibyte, 51);
  const running = await startService(t, { engine: 'sendfile', drain, regions: [file] });
  return { running, content: seededBytes(40 * mebibyte, 51) };
}

test('closing does not wait for connections that are idle', async (t) => {
  const { running } = await startLarge(t, 15);
  const clients = await Promise.all(Array.from({ length: 10 }, () => connectToLane(t, running, { path })));
  assert.equal(await running.close(), true, 'nothing had to be broken off');
  for (const client of clients) assert.equal((await client.rest()).bytes, 0);
});

test('closing waits for what a lane is in the middle of', async (t) => {
  const { running, content } = await startLarge(t, 20);
  const client = await connectToLane(t, running, { path });
  client.get(path, '0-');
  assert.equal((await client.head()).status, 206);
  const closing = running.close();
  assert.equal(await client.hash(content.length), sha256(content));
  client.destroy();
  assert.equal(await closing, true);
});

test('closing breaks off a lane’s answer that nobody reads when its time is over', async (t) => {
  const { running, content } = await startLarge(t, 0.3);
  const client = await connectToLane(t, running, { path });
  client.get(path, '0-');
  assert.equal((await client.head()).status, 206);
  assert.equal(await running.close(), false);
  const { bytes } = await client.rest();
  assert.ok(bytes < content.length, `${bytes} bytes`);
  client.destroy();
});

test('a file that was too short for one answer of a lane is looked at before the next', async (t) => {
  for (let round = 0; round < 5; round++) {
    const folder = makeFolder(t, 'tmpfs');
    const file = writeRegion(folder, 'file.bin', size);
    const running = await startService(t, { dir: folder, engine: 'copy' });
    const [first, next] = [await connectToLane(t, running, { path }), await connectToLane(t, running, { path })];
    first.get(path, '0-9');
    await first.response();
    truncateSync(file.path, 100);
    first.get(path, '5000-5009');
    // Node answers where the lane has looked meanwhile.
    const isBroken = await first.response().then(({ status }) => assert.equal(status, 416), isEndedEarly);
    next.get(path, '0-9');
    assert.equal((await next.response()).fields.get('content-range'), 'bytes 0-9/100', `${isBroken}`);
    for (const client of [first, next]) client.destroy();
  }
});

function isEndedEarly(error: unknown): boolean {
  assert.ok(error instanceof EndedEarly);
  return true;
}

test('lanes that were suspended answer again once Node has answered, however short ago it published', async (t) => {
  const folder = makeFolder(t, 'tmpfs');
  writeRegion(folder, 'file.bin', size);
  const running = await startService(t, { dir: folder, engine: 'sendfile' });
  const client = await connectToLane(t, running, { path });
  for (let round = 0; round < 3; round++) {
    (running.service.relay as NativeRelay).answers.suspend(); // as where nobody has asked for a while
    const [fed, answers] = [fedOf(running), answersOf(running)];
    for (let asked = 0; asked < 2; asked++) {
      await until(() => running.service.relay.counters().reading === 1, 'a lane reads the connection');
      client.get(path, '0-9');
      assert.equal((await client.response()).status, 206);
    }
    await until(() => answersOf(running) + fedOf(running) === answers + fed + 2, 'both are counted');
    assert.deepEqual([fedOf(running), answersOf(running)], [fed + 1, answers + 1]);
  }
  client.destroy();
});
