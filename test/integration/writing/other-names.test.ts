/** A region that is replaced or removed while its file has other names, or is reached through links. */
import assert from 'node:assert/strict';
import { linkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { holdingEngine } from '../../support/engines.ts';
import { outcomesOf } from '../../support/holds.ts';
import { until } from '../../support/poll.ts';
import { RawClient } from '../../support/raw.ts';
import { seededBytes, sha256, writeRegion } from '../../support/regions.ts';
import { askForRange } from '../../support/requests.ts';
import { kept, put, read, send, startWritable, untilOldIsGone, type Writable } from '../../support/writable.ts';

const size = 200_000;
const old = seededBytes(size, 1);
const changed = seededBytes(size, 2);

// A service that waits for what can't come before its end takes longer than a test may.
const drain = 60;

/** A service with a file, and another name of it made by `name`; both were read. */
async function startWithTwoNames(t: TestContext, name: typeof linkSync): Promise<Writable> {
  const running = await startWritable(t, 'tmpfs', { drain, engine: holdingEngine });
  writeRegion(running.dir, 'a.bin', size, 1);
  name(join(running.dir, 'a.bin'), join(running.dir, 'b.bin'));
  for (const region of ['a.bin', 'b.bin']) assert.equal((await read(t, running, region)).sha256, sha256(old));
  return running;
}

/** A reader of a region who has all of it in its queue, and does not read. */
async function unread(t: TestContext, running: Writable, region: string): Promise<RawClient> {
  const before = outcomesOf(running.service).complete ?? 0;
  const reader = await RawClient.connect(t, running.port);
  askForRange(reader, `/regions/${region}`, `0-${size - 1}`);
  await until(() => outcomesOf(running.service).complete === before + 1, 'all is sent');
  return reader;
}

test('replacing one of two names of a file keeps nothing of it, and the service ends', async (t) => {
  const running = await startWithTwoNames(t, linkSync);
  const { etag } = await read(t, running, 'b.bin');
  await put(t, running, 'a.bin', changed);
  await untilOldIsGone(running);
  assert.equal((await read(t, running, 'a.bin')).sha256, sha256(changed));
  assert.deepEqual(await read(t, running, 'b.bin'), { status: 200, etag, sha256: sha256(old) });
  assert.equal(await running.close(), true);
});

test('removing one of two names of a file keeps nothing of it, and the service ends', async (t) => {
  const running = await startWithTwoNames(t, linkSync);
  assert.equal((await send(t, running, { method: 'DELETE', path: '/regions/a.bin' })).status, 204);
  await untilOldIsGone(running);
  assert.equal((await read(t, running, 'b.bin')).sha256, sha256(old));
  assert.equal(await running.close(), true);
});

test('a file that loses both of its names is kept until its readers have read', async (t) => {
  const running = await startWithTwoNames(t, linkSync);
  const readers = [await unread(t, running, 'a.bin'), await unread(t, running, 'b.bin')];
  await Promise.all([put(t, running, 'a.bin', changed), put(t, running, 'b.bin', changed)]);
  await until(() => kept(running, 'old').length === 1, 'one link to it is kept');
  for (const reader of readers) {
    assert.equal(kept(running, 'old').length, 1);
    assert.ok((await reader.response()).body.equals(old));
    reader.destroy();
  }
  await untilOldIsGone(running);
  assert.equal(await running.close(), true);
});

test('replacing a file that was also read through a link keeps nothing of it, and the service ends', async (t) => {
  const running = await startWithTwoNames(t, (_, link) => symlinkSync('a.bin', link));
  await put(t, running, 'a.bin', changed);
  // By then nobody has asked for the link again.
  assert.equal(await running.close(), true);
  assert.deepEqual(kept(running, 'old'), []);
});

test('a file that is overwritten by one of its names is read on by each of them, with tags of their own', async (t) => {
  const running = await startWithTwoNames(t, linkSync);
  const before = await read(t, running, 'b.bin');
  const fields = { 'content-range': `bytes 0-999/${size}` };
  const part = { method: 'PUT', path: '/regions/a.bin', fields, body: changed.subarray(0, 1000) };
  assert.equal((await send(t, running, part)).status, 204);
  const now = sha256(Buffer.concat([changed.subarray(0, 1000), old.subarray(1000)]));
  for (const region of ['b.bin', 'a.bin', 'b.bin']) {
    const seen = await read(t, running, region);
    assert.deepEqual([seen.status, seen.sha256], [200, now], region);
    assert.notEqual(seen.etag, before.etag, region);
  }
});
