/** PATCH: regions that become longer or shorter. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../../src/relay/relay.ts';
import { copyFreeEngines } from '../../support/engines.ts';
import { outcomesOf } from '../../support/holds.ts';
import { until } from '../../support/poll.ts';
import { RawClient } from '../../support/raw.ts';
import { type Place, seededBytes, sha256 } from '../../support/regions.ts';
import { askForRange, type Change, change, overwriting } from '../../support/requests.ts';
import {
  externalChangesIn,
  fileIn,
  put,
  read,
  refusalIn,
  send,
  startWritable,
  untilWaiting,
  type Writable,
} from '../../support/writable.ts';

const path = '/regions/file.bin';
const size = 200_123;
const old = seededBytes(size, 1);
const mergePatch = 'application/merge-patch+json';
const places: readonly Place[] = ['tmpfs', 'ext4'];

function patching(body: string, type: string = mergePatch, fields: Record<string, string> = {}): Change {
  return { method: 'PATCH', path, fields: { 'content-type': type, ...fields }, body: Buffer.from(body) };
}

function resizing(to: number, fields: Record<string, string> = {}): Change {
  return patching(JSON.stringify({ size: to }), mergePatch, fields);
}

function fileSize({ dir }: Writable): number {
  return statSync(join(dir, 'file.bin')).size;
}

async function untilCut(running: Writable, to: number): Promise<void> {
  await until(
    () => fileSize(running) === to,
    `the file has ${to} bytes`,
    () => fileSize(running),
  );
}

for (const place of places) {
  test(`a region is resized step by step, and what it grows by is zeros, on ${place}`, async (t) => {
    const running = await startWritable(t, place);
    const tags = new Set([await put(t, running, 'file.bin', old)]);
    let content = old;
    for (const [step, to] of [300_000, 4096, 4097, 100, 50_000, 0, 10, 0, 8192].entries()) {
      const next = Buffer.alloc(to);
      content.copy(next);
      content = next;
      const { status, fields } = await send(t, running, resizing(to));
      assert.equal(status, 204, `to ${to}`);
      const found = await send(t, running, { method: 'GET', path });
      assert.ok(found.body.equals(content), `to ${to}`);
      assert.equal(found.fields.get('etag'), fields.get('etag'));
      assert.ok(!tags.has(fields.get('etag') ?? ''), `step ${step} has a tag of its own`);
      tags.add(fields.get('etag') ?? '');
      if (step % 2 === 0) await untilCut(running, to);
    }
    await untilCut(running, 8192);
    assert.equal(running.service.writer?.store.quota.used, 8192);
    assert.equal(externalChangesIn(running), 0, 'none of it was done by others');
  });

  test(`of a region that shrinks and grows the bytes behind its end are gone, on ${place}`, async (t) => {
    const running = await startWritable(t, place);
    await put(t, running, 'file.bin', old);
    const client = await RawClient.connect(t, running.port);
    // Without time in between for cutting the file.
    for (const to of [5000, 150_000, 3000, size]) assert.equal((await change(client, resizing(to))).status, 204);
    const expected = Buffer.concat([old.subarray(0, 3000), Buffer.alloc(size - 3000)]);
    assert.equal((await read(t, running, 'file.bin')).sha256, sha256(expected));
    assert.equal((await change(client, overwriting(path, size - 5, Buffer.from('abcde'), 5))).status, 204);
    client.destroy();
  });

  test(`the size that it has changes nothing, on ${place}`, async (t) => {
    const running = await startWritable(t, place);
    const etag = await put(t, running, 'file.bin', old);
    const answer = await send(t, running, resizing(size));
    assert.deepEqual([answer.status, answer.fields.get('etag')], [204, etag]);
    assert.equal((await read(t, running, 'file.bin')).etag, etag);
  });
}

async function stalledReaderOfTail(t: TestContext, place: Place, engine: Engine): Promise<void> {
  const running = await startWritable(t, place, { engine });
  await put(t, running, 'file.bin', old);
  const reader = await RawClient.connect(t, running.port);
  const first = size - 30_000;
  askForRange(reader, path, `${first}-`);
  await until(() => outcomesOf(running.service).complete === 1, 'all is sent');
  const client = await RawClient.connect(t, running.port);
  const small = await change(client, resizing(first + 100));
  assert.equal(small.status, 204, 'at once');
  askForRange(client, path, `${first}-`);
  const served = await client.response();
  assert.equal(served.fields.get('content-range'), `bytes ${first}-${first + 99}/${first + 100}`);
  askForRange(client, path, `${first + 100}-`);
  const beyond = await client.response();
  assert.deepEqual(refusalIn(beyond), [416, 'range-not-satisfiable']);
  assert.equal(beyond.fields.get('content-range'), `bytes */${first + 100}`);
  // The old bytes would have to be zeros, and they are in flight.
  assert.deepEqual(
    refusalIn(await change(client, { ...resizing(size), fields: { 'content-type': mergePatch, prefer: 'wait=0' } })),
    [409, 'range-busy'],
  );
  assert.equal(fileSize(running), size, 'the file is as long as it was');
  assert.ok((await reader.response()).body.equals(old.subarray(first)), 'the reader has what was there');
  await untilCut(running, first + 100);
  assert.equal((await change(client, resizing(size))).status, 204);
  askForRange(client, path, `${first + 100}-`);
  assert.ok((await client.response()).body.every((byte) => byte === 0));
  assert.equal(externalChangesIn(running), 0, 'none of it was done by others');
  for (const each of [reader, client]) each.destroy();
}

for (const place of places) {
  test(`a reader of the tail keeps its bytes when that is cut off, on ${place}`, async (t) => {
    for (const engine of copyFreeEngines) await t.test(`by ${engine}`, (t) => stalledReaderOfTail(t, place, engine));
  });
}

test('growing waits for a writer that has the end, and shrinking for no reader', async (t) => {
  const running = await startWritable(t, 'ext4', { engine: 'sendfile' });
  await put(t, running, 'file.bin', old);
  const reader = await RawClient.connect(t, running.port);
  askForRange(reader, path, '0-29999');
  await until(() => outcomesOf(running.service).complete === 1, 'all is sent');
  const body = Buffer.from(JSON.stringify({ region: 'file.bin', first: size - 10, last: size - 1, ttlSeconds: 60 }));
  const fields = { 'content-type': 'application/json' };
  const lease = await send(t, running, { method: 'POST', path: '/leases', fields, body });
  assert.equal(lease.status, 201);
  const growing = await RawClient.connect(t, running.port);
  const grown = change(growing, resizing(2 * size));
  await untilWaiting(running, 1);
  assert.equal((await send(t, running, { method: 'DELETE', path: lease.fields.get('location') ?? '' })).status, 204);
  assert.equal((await grown).status, 204);
  assert.equal((await send(t, running, resizing(10))).status, 204);
  assert.ok((await reader.response()).body.equals(old.subarray(0, 30_000)));
  await untilCut(running, 10);
  for (const each of [reader, growing]) each.destroy();
});

test('a region whose file others remove while it grows is not said to lack room', async (t) => {
  const running = await startWritable(t);
  await put(t, running, 'file.bin', old);
  const { files } = running.service.writer?.store.relay ?? assert.fail();
  const extend = files.extend.bind(files);
  t.mock.method(files, 'extend', async (fd: number, to: number) => {
    await extend(fd, to);
    rmSync(join(running.dir, 'file.bin'));
  });
  assert.equal((await send(t, running, resizing(2 * size))).status, 204, 'the removal came behind it');
  assert.deepEqual(refusalIn(await send(t, running, resizing(size))), [404, 'region-not-found']);
  assert.equal((await send(t, running, { method: 'GET', path })).status, 404);
});

const wrongBodies = ['', '{', '[]', 'null', '5', '"x"', '{}', '{"size":-1}', '{"size":1.5}', '{"size":"5"}'];
wrongBodies.push('{"size":null}', '{"size":9007199254740992}', '{"size":1,"name":"x"}', '{"__proto__":{"size":1}}');

for (const body of wrongBodies) {
  test(`${body || 'nothing'} is no change of a size: 400`, async (t) => {
    const running = await startWritable(t);
    const etag = await put(t, running, 'file.bin', old);
    assert.deepEqual(refusalIn(await send(t, running, patching(body))), [400, 'bad-request']);
    assert.equal((await read(t, running, 'file.bin')).etag, etag);
  });
}

test('another media type is 415 with Accept-Patch', async (t) => {
  const running = await startWritable(t);
  await put(t, running, 'file.bin', old);
  for (const type of ['application/json', 'application/json-patch+json', 'text/plain', 'none', '']) {
    const answer = await send(t, running, patching('{"size":1}', type));
    assert.deepEqual(refusalIn(answer), [415, 'unsupported-media-type'], type);
    assert.equal(answer.fields.get('accept-patch'), mergePatch);
  }
  assert.equal((await send(t, running, patching('{"size":1}', `${mergePatch}; charset=utf-8`))).status, 204);
  const options = await send(t, running, { method: 'OPTIONS', path });
  assert.equal(options.fields.get('accept-patch'), mergePatch);
  assert.equal(options.fields.get('allow'), 'GET, HEAD, OPTIONS, PUT, PATCH, DELETE');
});

test('PATCH is judged by its preconditions, and needs a region', async (t) => {
  const running = await startWritable(t);
  assert.deepEqual(refusalIn(await send(t, running, resizing(5))), [404, 'region-not-found']);
  const etag = await put(t, running, 'file.bin', old);
  assert.equal((await send(t, running, resizing(5, { 'if-match': '"other"' }))).status, 412);
  assert.equal((await send(t, running, resizing(5, { 'if-none-match': etag }))).status, 412);
  assert.equal((await send(t, running, resizing(5, { 'if-match': etag }))).status, 204);
  assert.equal(fileIn(running, 'file.bin').length <= size, true);
});

test('growing beyond the quota, or what a file can have, is 507', async (t) => {
  const running = await startWritable(t, 'ext4', { maxBytes: 2 * size });
  await put(t, running, 'file.bin', old);
  assert.deepEqual(refusalIn(await send(t, running, resizing(2 * size + 1))), [507, 'no-space']);
  assert.equal((await send(t, running, resizing(2 * size))).status, 204);
  assert.equal((await send(t, running, resizing(10))).status, 204);
  await put(t, running, 'other.bin', old);
  assert.equal(running.service.writer?.store.quota.used, size + 10);
  const unlimited = await startWritable(t, 'ext4');
  await put(t, unlimited, 'file.bin', old);
  assert.deepEqual(refusalIn(await send(t, unlimited, resizing(Number.MAX_SAFE_INTEGER))), [507, 'no-space']);
  assert.equal(readFileSync(join(unlimited.dir, 'file.bin')).length, size);
});
