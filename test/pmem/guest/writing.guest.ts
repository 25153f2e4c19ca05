/** Changes of regions on DAX, where pages that are in flight can be neither given up nor cut off. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { outcomesOf, referencesOf } from '../../support/holds.ts';
import { until } from '../../support/poll.ts';
import { RawClient } from '../../support/raw.ts';
import { seededBytes, sha256 } from '../../support/regions.ts';
import { ask, askForRange, type Change, change, overwriting } from '../../support/requests.ts';
import {
  fileIn,
  kept,
  put,
  read,
  refusalIn,
  send,
  startWritable,
  untilOldIsGone,
  untilWaiting,
  type Writable,
} from '../../support/writable.ts';
import { note } from './note.ts';

const timeout = 120_000;
/** For what must not wait for a reader, on a machine that is this slow. */
const boundMilliseconds = 15_000;
const size = 100_000;
const path = '/regions/file.bin';
const old = seededBytes(size, 1);
const next = seededBytes(size, 2);
const mergePatch = 'application/merge-patch+json';

function resizing(to: number, wait = 10): Change {
  const fields = { 'content-type': mergePatch, prefer: `wait=${wait}` };
  return { method: 'PATCH', path, fields, body: Buffer.from(JSON.stringify({ size: to })) };
}

/** All of the region is with its socket, and it reads nothing. */
async function stalledReader(t: TestContext, running: Writable): Promise<RawClient> {
  const client = await RawClient.connect(t, running.port);
  const before = outcomesOf(running.service).complete ?? 0;
  ask(client, { method: 'GET', path });
  await until(() => outcomesOf(running.service).complete === before + 1, 'all is sent');
  const [reference] = await referencesOf(running);
  assert.deepEqual([reference?.state, reference?.engine, reference?.peerKind], ['sent', 'splice', 'local']);
  return client;
}

async function readsOld(client: RawClient): Promise<void> {
  const { status, body } = await client.response();
  assert.deepEqual([status, sha256(body)], [200, sha256(old)], 'the reader has all of what was there');
  client.destroy();
}

/** Nothing else is kept waiting: other requests are answered as long as `task` goes on. */
async function othersAreAnswered<Result>(t: TestContext, running: Writable, task: Promise<Result>): Promise<Result> {
  let over = false;
  const ending = task.finally(() => {
    over = true;
  });
  const client = await RawClient.connect(t, running.port);
  do {
    const began = performance.now();
    assert.equal((await change(client, { method: 'GET', path: '/readyz' })).status, 200);
    askForRange(client, '/regions/other.bin', '1000-50000');
    assert.ok((await client.response()).body.equals(next.subarray(1000, 50_001)));
    assert.ok(performance.now() - began < boundMilliseconds, 'at once');
  } while (!over);
  client.destroy();
  return await ending;
}

async function start(t: TestContext, place: 'ext4-dax' | 'xfs-dax'): Promise<Writable> {
  const running = await startWritable(t, place, { maxBrokenOff: 1 });
  await put(t, running, 'file.bin', old);
  await put(t, running, 'other.bin', next);
  return running;
}

const fileSize = ({ dir }: Writable) => statSync(join(dir, 'file.bin')).size;

for (const place of ['ext4-dax', 'xfs-dax'] as const) {
  test(`on ${place} an overwrite waits until a slow reader has read`, { timeout }, async (t) => {
    const running = await start(t, place);
    const reader = await stalledReader(t, running);
    const writer = await RawClient.connect(t, running.port);
    const impatient = await change(writer, overwriting(path, 5000, next.subarray(5000, 9000), 0));
    assert.deepEqual(refusalIn(impatient), [409, 'range-busy']);
    ask(writer, overwriting(path, 5000, next.subarray(5000, 9000), 60));
    await untilWaiting(running, 1);
    assert.ok(fileIn(running, 'file.bin').equals(old), 'nothing is written before');
    await readsOld(reader);
    assert.equal((await writer.response()).status, 204);
    const expected = Buffer.concat([old.subarray(0, 5000), next.subarray(5000, 9000), old.subarray(9000)]);
    assert.ok(fileIn(running, 'file.bin').equals(expected));
    assert.equal((await read(t, running, 'file.bin')).sha256, sha256(expected));
    writer.destroy();
  });

  test(`on ${place} a replaced region is kept for its reader, and then no more`, { timeout }, async (t) => {
    const running = await start(t, place);
    const reader = await stalledReader(t, running);
    await othersAreAnswered(t, running, put(t, running, 'file.bin', next));
    assert.equal(kept(running, 'old').length, 1);
    assert.equal((await read(t, running, 'file.bin')).sha256, sha256(next));
    await readsOld(reader);
    await untilOldIsGone(running);
  });

  test(`on ${place} so is a deleted one`, { timeout }, async (t) => {
    const running = await start(t, place);
    const reader = await stalledReader(t, running);
    const answer = await othersAreAnswered(t, running, send(t, running, { method: 'DELETE', path }));
    assert.equal(answer.status, 204);
    assert.equal((await read(t, running, 'file.bin')).status, 404);
    assert.equal(kept(running, 'old').length, 1);
    await readsOld(reader);
    await untilOldIsGone(running);
  });

  test(`on ${place} a region shrinks under a reader at once, and its file when that has read`, {
    timeout,
  }, async (t) => {
    const running = await start(t, place);
    const reader = await stalledReader(t, running);
    const began = performance.now();
    const shrinking = send(t, running, resizing(5000)).then(({ status }) => ({
      status,
      after: performance.now() - began,
    }));
    const answer = await othersAreAnswered(t, running, shrinking);
    assert.equal(answer.status, 204);
    assert.ok(answer.after < boundMilliseconds, 'in bounded time');
    assert.equal((await read(t, running, 'file.bin')).sha256, sha256(old.subarray(0, 5000)));
    const impatient = await send(t, running, resizing(size, 0));
    assert.deepEqual(refusalIn(impatient), [409, 'range-busy'], 'the bytes behind its end can’t be zeros yet');
    assert.equal(fileSize(running), size, 'the file is cut later');
    await readsOld(reader);
    const hasRead = performance.now();
    const cut = until(() => fileSize(running) === 5000, 'the file is cut');
    const cutAfter = cut.then(() => performance.now() - hasRead);
    note('shrink', {
      place,
      answeredMilliseconds: Math.round(answer.after),
      cutMilliseconds: Math.round(await othersAreAnswered(t, running, cutAfter)),
    });
    assert.equal((await send(t, running, resizing(size))).status, 204);
    const grown = Buffer.concat([old.subarray(0, 5000), Buffer.alloc(size - 5000)]);
    assert.equal((await read(t, running, 'file.bin')).sha256, sha256(grown));
  });

  test(`on ${place} a region grows under a reader`, { timeout }, async (t) => {
    const running = await start(t, place);
    const reader = await stalledReader(t, running);
    const answer = await othersAreAnswered(t, running, send(t, running, resizing(2 * size)));
    assert.equal(answer.status, 204);
    assert.equal(fileSize(running), 2 * size);
    await readsOld(reader);
    const grown = Buffer.concat([old, Buffer.alloc(size)]);
    assert.equal((await read(t, running, 'file.bin')).sha256, sha256(grown));
  });
}

/** Of two readers that are broken off, one more than there may be, the first is reset, and can still read. */
async function quarantinedReader(t: TestContext, running: Writable): Promise<RawClient> {
  const first = await stalledReader(t, running);
  const brokenOff = () => running.service.relay.counters();
  await until(() => brokenOff().brokenOff === 1, 'the first is broken off', brokenOff);
  const second = await stalledReaderOf(t, running, '/regions/other.bin');
  await until(() => brokenOff().quarantined === 1, 'the first is quarantined', brokenOff);
  await second.response();
  second.destroy();
  return first;
}

async function stalledReaderOf(t: TestContext, running: Writable, other: string): Promise<RawClient> {
  const client = await RawClient.connect(t, running.port);
  ask(client, { method: 'GET', path: other });
  return client;
}

test('while a page is quarantined changes are refused or put off, and none hangs', { timeout }, async (t) => {
  const running = await startWritable(t, 'ext4-dax', { maxBrokenOff: 1, maxHold: 0.5 });
  await put(t, running, 'file.bin', old);
  await put(t, running, 'other.bin', next);
  const reader = await quarantinedReader(t, running);
  const overwritten = await othersAreAnswered(t, running, send(t, running, overwriting(path, 0, next, 10)));
  assert.deepEqual(refusalIn(overwritten), [409, 'range-busy']);
  const shrunk = await othersAreAnswered(t, running, send(t, running, resizing(5000)));
  assert.ok(shrunk.status === 204 || shrunk.status === 409, `a shrink is ${shrunk.status}`);
  const grown = await othersAreAnswered(t, running, send(t, running, resizing(2 * size)));
  assert.equal(grown.status, shrunk.status === 204 ? 409 : 204);
  assert.ok(fileSize(running) >= size, 'no page that somebody could still read is cut off');
  await put(t, running, 'file.bin', next);
  assert.equal((await read(t, running, 'file.bin')).sha256, sha256(next), 'a whole PUT still works');
  assert.equal(kept(running, 'old').length, 1, 'and what it replaced is kept');
  assert.equal((await reader.head()).status, 200);
  const { bytes, sha256: hash } = await reader.rest();
  assert.ok(bytes > 0);
  assert.equal(hash, sha256(old.subarray(0, bytes)), 'what the reset left to it is of before');
});
