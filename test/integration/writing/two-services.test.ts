/** Two services on one directory: neither changes bytes that the other one may be sending. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { holdingEngine } from '../../support/engines.ts';
import { outcomesOf } from '../../support/holds.ts';
import { until } from '../../support/poll.ts';
import { originOf, startCli } from '../../support/process.ts';
import { RawClient } from '../../support/raw.ts';
import { type Place, seededBytes, sha256, writeRegion } from '../../support/regions.ts';
import { askForRange, overwriting } from '../../support/requests.ts';
import { startService } from '../../support/service.ts';
import {
  fileIn,
  kept,
  makeTree,
  put,
  read,
  refusalIn,
  send,
  startWritable,
  type Writable,
} from '../../support/writable.ts';

const size = 200_000;
const path = '/regions/file.bin';
const old = seededBytes(size, 1);

async function startTwo(t: TestContext, place: Place): Promise<readonly [Writable, Writable]> {
  const { dir, scope } = makeTree(t, place);
  writeRegion(dir, 'file.bin', size, 1);
  const options = { dir, engine: holdingEngine } as const;
  return [await startWritable(scope, place, options), await startWritable(scope, place, options)];
}

async function readerOf(t: TestContext, running: Writable): Promise<RawClient> {
  const client = await RawClient.connect(t, running.port);
  askForRange(client, path, '0-29999');
  await until(() => outcomesOf(running.service).complete === 1, 'all is sent');
  return client;
}

for (const place of ['tmpfs', 'ext4'] as const) {
  test(`a reader of one service keeps bytes from being changed by the other, on ${place}`, async (t) => {
    const [one, other] = await startTwo(t, place);
    const reader = await readerOf(t, one);
    const body = seededBytes(10_000, 2);
    // On tmpfs as well: that pages are fresh is known of one's own readers only.
    const refused = await send(t, other, overwriting(path, 100_000, body, 1));
    assert.deepEqual(refusalIn(refused), [503, 'other-writer']);
    assert.equal(refused.fields.get('retry-after'), '1');
    assert.ok(fileIn(one, 'file.bin').equals(old));
    assert.deepEqual(kept(one, 'tmp'), []);
    assert.ok((await reader.response()).body.equals(old.subarray(0, 30_000)));
    let answer = refused;
    await until(
      async () => {
        answer = await send(t, other, overwriting(path, 100_000, body, 1));
        return answer.status === 204;
      },
      'the change is let in when it has read',
      () => answer.status,
    );
    const [here, there] = [await read(t, one, 'file.bin'), await read(t, other, 'file.bin')];
    const expected = Buffer.from(old);
    body.copy(expected, 100_000);
    assert.deepEqual([here.sha256, there.sha256], [sha256(expected), sha256(expected)], 'both serve what was written');
    reader.destroy();
  });

  test(`a whole PUT and a DELETE go through, and the other service sees them, on ${place}`, async (t) => {
    const [one, other] = await startTwo(t, place);
    const reader = await readerOf(t, one);
    const seen = [await read(t, one, 'file.bin')];
    for (let turn = 0; turn < 4; turn++) {
      const body = seededBytes(size, 10 + turn);
      const etag = await put(t, turn % 2 === 0 ? other : one, 'file.bin', body);
      // The other one's lanes see it a moment later.
      const both = () => Promise.all([read(t, one, 'file.bin'), read(t, other, 'file.bin')]);
      await until(async () => (await both()).every((each) => each.etag === etag), 'both serve it');
      const found = await both();
      for (const each of found) assert.deepEqual([each.etag, each.sha256], [etag, sha256(body)]);
      seen.push(found[0]);
    }
    assert.equal((await send(t, other, { method: 'DELETE', path })).status, 204);
    await until(async () => (await read(t, one, 'file.bin')).status === 404, 'it is gone');
    assert.equal(new Set(seen.map(({ etag }) => etag)).size, 5);
    assert.ok((await reader.response()).body.equals(old.subarray(0, 30_000)));
    reader.destroy();
  });
}

test('overwrites by two services in turn never give two contents one tag', async (t) => {
  const services = await startTwo(t, 'ext4');
  const contents = new Map<string, string>();
  const expected = Buffer.from(old);
  for (let turn = 0; turn < 8; turn++) {
    const body = seededBytes(5000, turn);
    const writer = services[turn % 2] ?? assert.fail();
    await until(
      async () => (await send(t, writer, overwriting(path, turn * 1000, body, 1))).status === 204,
      'it is let in',
    );
    body.copy(expected, turn * 1000);
    for (const service of services) {
      const { etag, sha256: hash } = await read(t, service, 'file.bin');
      assert.equal(hash, sha256(expected), 'both serve what was written');
      assert.equal(contents.get(etag) ?? hash, hash, `${etag} stood for something else`);
      contents.set(etag, hash);
    }
  }
});

test('a lease of one service keeps readers of the other out, who get 503 in time', async (t) => {
  const [one, other] = await startTwo(t, 'tmpfs');
  const body = Buffer.from(JSON.stringify({ region: 'file.bin', first: 0, last: 9, ttlSeconds: 60 }));
  const fields = { 'content-type': 'application/json' };
  const lease = await send(t, one, { method: 'POST', path: '/leases', fields, body });
  assert.equal(lease.status, 201);
  const late = read(t, other, 'file.bin');
  assert.equal((await send(t, one, { method: 'GET', path, fields: { range: 'bytes=9000-' } })).status, 206);
  assert.equal((await late).status, 503);
  assert.equal((await send(t, one, { method: 'DELETE', path: lease.fields.get('location') ?? '' })).status, 204);
  assert.equal((await read(t, other, 'file.bin')).sha256, sha256(old));
});

test('a second service leaves alone what the first one has under way', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  const one = await startWritable(scope, 'tmpfs', { dir });
  const uploading = await RawClient.connect(t, one.port);
  uploading.write(`PUT ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${size}\r\n\r\n`);
  uploading.socket.write(old.subarray(0, 100_000));
  await until(() => kept(one, 'tmp').length === 1, 'it is received');
  const child = startCli(scope, ['serve', '--dir', dir, '--writable', '--port', '0', '--log-level', 'warn']);
  const port = Number(new URL(await originOf(child)).port);
  await until(() => /another service can write to this tree/.test(child.stdout()), 'it says so', child.stdout);
  uploading.socket.write(old.subarray(100_000));
  assert.equal((await uploading.response()).status, 201);
  assert.equal((await read(t, { port }, 'file.bin')).sha256, sha256(old));
  uploading.destroy();
  child.process.kill('SIGTERM');
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});

test('a reading service on the same directory sees each change, and holds them up only while it reads', async (t) => {
  const { dir, scope } = makeTree(t, 'ext4');
  writeRegion(dir, 'file.bin', size, 1);
  const reading = { ...(await startService(scope, { dir, engine: holdingEngine })), dir };
  const writing = await startWritable(scope, 'ext4', { dir });
  const reader = await readerOf(t, reading);
  assert.equal((await send(t, writing, overwriting(path, 0, Buffer.from('x'), 1))).status, 503);
  await reader.response();
  const change = async () => (await send(t, writing, overwriting(path, 0, Buffer.from('x'), 1))).status === 204;
  await until(change, 'it is let in when that has read');
  assert.equal((await read(t, reading, 'file.bin')).sha256, sha256(fileIn(writing, 'file.bin')));
  assert.ok(existsSync(dir));
  reader.destroy();
});
