/** Overwrites of what readers have not been sent yet: nobody waits, every body is whole. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../../src/relay/relay.ts';
import { inTurn } from '../../support/amount.ts';
import { countOpen } from '../../support/descriptors.ts';
import { everyEngine } from '../../support/engines.ts';
import { parseMultipart } from '../../support/multipart.ts';
import { until } from '../../support/poll.ts';
import { RawClient } from '../../support/raw.ts';
import { bytesOf, type Place, seededBytes, sha256, writeRegion } from '../../support/regions.ts';
import { ask, overwriting } from '../../support/requests.ts';
import { send, startWritable, type Writable } from '../../support/writable.ts';

const mebibyte = 1 << 20;
const size = 32 * mebibyte;
const path = '/regions/file.bin';
const old = seededBytes(size, 1);
const oldDigest = sha256(old);
const nativeEngines = everyEngine.filter((engine) => engine !== 'stream');

async function start(t: TestContext, engine: Engine, place: Place = 'tmpfs'): Promise<Writable> {
  const running = await startWritable(t, place, { engine, breakHolds: 1000, maxHold: 1000 });
  writeRegion(running.dir, 'file.bin', size, 1);
  return running;
}

/** A reader of the whole region, which no sockets can hold, that has read nothing but the head. */
async function readerOfAll(t: TestContext, running: Writable): Promise<RawClient> {
  const client = await RawClient.connect(t, running.port);
  ask(client, { method: 'GET', path });
  assert.equal((await client.head()).status, 200);
  return client;
}

/** Overwrites by a writer that does not wait. */
async function overwrite(t: TestContext, running: Writable, offset: number, body: Uint8Array): Promise<void> {
  const answer = await send(t, running, overwriting(path, offset, body, 0));
  assert.equal(answer.status, 204, `${answer.body}`);
  const end = offset + body.length;
  assert.ok(bytesOf(join(running.dir, 'file.bin'), offset, end - 1).equals(body), 'the file has what was written');
}

async function nothingIsKept({ service }: Writable): Promise<void> {
  await until(() => service.relay.counters().keptBytes === 0, 'nothing is kept any more');
}

function brokenBy({ service }: Writable): number {
  return service.relay.counters().breaks;
}

async function hasPagesAtOnce(t: TestContext, engine: Engine, place: Place): Promise<void> {
  const running = await start(t, engine, place);
  await send(t, running, { method: 'GET', path, fields: { range: 'bytes=0-999999' } });
  const before = countOpen();
  const reader = await readerOfAll(t, running);
  await overwrite(t, running, size - 20_000, seededBytes(10_000, 30));
  const { keptBytes, keeps } = running.service.relay.counters();
  assert.deepEqual([keeps, keptBytes > 0 && keptBytes <= 4 * 4096], [1, true], `${keptBytes} bytes are kept`);
  assert.equal(await reader.hash(size), oldDigest, 'the reader has what was there');
  await nothingIsKept(running);
  assert.equal(brokenBy(running), 0);
  reader.destroy();
  await until(() => countOpen().descriptors <= before.descriptors, 'no descriptor is left', countOpen);
}

for (const [at, engine] of nativeEngines.entries()) {
  for (const place of inTurn(['tmpfs', 'ext4'] as const, at)) {
    test(`a writer has pages at once that a reader who does not read was not sent, on ${place} by ${engine}`, (t) =>
      hasPagesAtOnce(t, engine, place));
  }
}

test('the next reader has the new bytes, while two before have what each began with', async (t) => {
  const running = await start(t, 'sendfile');
  const first = await readerOfAll(t, running);
  const [one, other] = [seededBytes(3 * mebibyte, 31), seededBytes(3 * mebibyte, 32)];
  await overwrite(t, running, 20 * mebibyte + 100, one);
  const second = await readerOfAll(t, running);
  await overwrite(t, running, 21 * mebibyte, other);
  const third = await readerOfAll(t, running);

  const now = Buffer.from(old);
  now.set(one, 20 * mebibyte + 100);
  const expected = [oldDigest, sha256(now)];
  now.set(other, 21 * mebibyte);
  expected.push(sha256(now));
  for (const [at, reader] of [first, second, third].entries()) {
    assert.equal(await reader.hash(size), expected[at], `reader ${at}`);
    reader.destroy();
  }
  await nothingIsKept(running);
  assert.equal(brokenBy(running), 0);
});

test('a reader of several ranges has them all as they were, in as many pieces as writers make of them', async (t) => {
  const running = await start(t, 'splice');
  const client = await RawClient.connect(t, running.port);
  const ranges = [
    [1000, 12 * mebibyte],
    [12.5 * mebibyte, 20 * mebibyte],
    [25 * mebibyte, size - 1],
  ] as const;
  const range = `bytes=${ranges.map(([first, last]) => `${first}-${last}`).join(', ')}`;
  ask(client, { method: 'GET', path, fields: { range } });
  const { status, fields } = await client.head();
  assert.equal(status, 206);
  for (const at of [10, 11.5, 12, 15, 15.1, 19.5, 31]) {
    await overwrite(t, running, Math.floor(at * mebibyte), seededBytes(mebibyte, Math.floor(at * 10)));
  }
  const body = await client.take(Number(fields.get('content-length')));
  const parts = parseMultipart(fields.get('content-type') ?? '', body);
  assert.deepEqual(
    parts.map((part) => sha256(part.body)),
    ranges.map(([first, last]) => sha256(old.subarray(first, last + 1))),
  );
  await nothingIsKept(running);
  client.destroy();
});

for (const place of ['tmpfs', 'ext4'] as const) {
  test(`a file is cut while a reader who does not read has yet to be sent its end, on ${place}`, async (t) => {
    const running = await start(t, 'sendfile', place);
    const reader = await readerOfAll(t, running);
    const fields = { 'content-type': 'application/merge-patch+json' };
    const body = Buffer.from(JSON.stringify({ size: size - 3 * mebibyte - 5 }));
    assert.equal((await send(t, running, { method: 'PATCH', path, fields, body })).status, 204);
    const fileSize = () => statSync(join(running.dir, 'file.bin')).size;
    await until(() => fileSize() === size - 3 * mebibyte - 5, 'the file is cut', fileSize);
    assert.equal(await reader.hash(size), oldDigest, 'the reader has what was there');
    await nothingIsKept(running);
    reader.destroy();
  });
}

test('what was kept for a reader who goes away is kept no longer', async (t) => {
  const running = await start(t, 'sendfile');
  const reader = await readerOfAll(t, running);
  await overwrite(t, running, size / 2, seededBytes(mebibyte, 33));
  assert.ok(running.service.relay.counters().keptBytes >= mebibyte);
  reader.reset();
  await nothingIsKept(running);
});
