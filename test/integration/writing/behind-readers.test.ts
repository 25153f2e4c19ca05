/** An overwrite in place, and readers whose pages it wants. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../../src/relay/relay.ts';
import { copyFreeEngines, holdingEngine } from '../../support/engines.ts';
import { outcomesOf, referencesOf } from '../../support/holds.ts';
import { slack } from '../../support/limits.ts';
import { until } from '../../support/poll.ts';
import { RawClient } from '../../support/raw.ts';
import { type Place, seededBytes, sha256, writeRegion } from '../../support/regions.ts';
import { ask, askForRange, type Change, change, overwriting } from '../../support/requests.ts';
import { pretend } from '../../support/testing-shim.ts';
import { fileIn, kept, refusalIn, send, startWritable, untilWaiting, type Writable } from '../../support/writable.ts';

const mebibyte = 1 << 20;
const size = 24 * mebibyte;
const path = '/regions/file.bin';
const old = seededBytes(size, 1);

async function start(t: TestContext, place: Place, options: Parameters<typeof startWritable>[2] = {}) {
  const running = await startWritable(t, place, options);
  writeRegion(running.dir, 'file.bin', size, 1);
  return running;
}

/** A service that knows no means but to wait until pages are done. */
async function startWaiting(t: TestContext, options: Parameters<typeof startWritable>[2] = {}) {
  pretend(t, { meansWork: false });
  return start(t, 'ext4', options);
}

/** A reader of a few pages that are all with its socket, and that it does not read. */
async function readerOfFewPages(t: TestContext, running: Writable): Promise<RawClient> {
  const client = await RawClient.connect(t, running.port);
  const { complete = 0 } = outcomesOf(running.service);
  askForRange(client, path, '5000-34999');
  await until(() => (outcomesOf(running.service).complete ?? 0) > complete, 'all is sent');
  return client;
}

/** A reader of all, most of which no socket has taken yet. */
async function readerOfAll(t: TestContext, running: Writable): Promise<RawClient> {
  const client = await RawClient.connect(t, running.port);
  ask(client, { method: 'GET', path });
  await client.head();
  return client;
}

for (const engine of copyFreeEngines) {
  test(`on tmpfs pages that are sent and unread hold nothing up, by ${engine}`, async (t) => {
    const running = await start(t, 'tmpfs', { engine });
    const reader = await readerOfFewPages(t, running);
    assert.equal((await referencesOf(running))[0]?.state, 'sent');
    for (let turn = 0; turn < 3; turn++) {
      const body = seededBytes(30_000, 20 + turn);
      assert.equal((await send(t, running, overwriting(path, 6000, body, 0))).status, 204, 'without waiting');
      assert.ok(fileIn(running, 'file.bin').subarray(6000, 36_000).equals(body));
    }
    const { body } = await reader.response();
    assert.ok(body.equals(old.subarray(5000, 35_000)), 'the reader has what was there');
    reader.destroy();
  });

  test(`where an overwrite writes to the pages themselves they hold it up until they are read, by ${engine}`, async (t) => {
    const running = await startWaiting(t, { engine });
    const reader = await readerOfFewPages(t, running);
    const body = seededBytes(30_000, 21);
    const writer = await RawClient.connect(t, running.port);
    const began = performance.now();
    const late = await change(writer, overwriting(path, 6000, body, 1));
    assert.deepEqual(refusalIn(late), [409, 'range-busy']);
    assert.deepEqual([late.fields.get('retry-after'), late.fields.get('preference-applied')], ['1', 'wait=1']);
    assert.ok(performance.now() - began >= 990, 'it has waited for as long as was asked');
    assert.ok(fileIn(running, 'file.bin').equals(old));
    assert.deepEqual(kept(running, 'tmp'), []);

    ask(writer, overwriting(path, 6000, body, 10));
    await untilWaiting(running, 1);
    assert.ok((await reader.response()).body.equals(old.subarray(5000, 35_000)));
    const { status, fields } = await writer.response();
    assert.deepEqual([status, fields.get('preference-applied')], [204, 'wait=10']);
    assert.ok(fileIn(running, 'file.bin').subarray(6000, 36_000).equals(body));
    for (const client of [reader, writer]) client.destroy();
  });
}

for (const place of ['tmpfs', 'ext4'] as const) {
  test(`readers of other pages hold nothing up, on ${place}`, async (t) => {
    const running = await start(t, place, { engine: holdingEngine });
    const reader = await readerOfFewPages(t, running);
    const body = seededBytes(10_000, 22);
    // The reader's last byte is in page 8.
    assert.equal((await send(t, running, overwriting(path, 9 * 4096, body, 0))).status, 204);
    assert.ok((await reader.response()).body.equals(old.subarray(5000, 35_000)));
    reader.destroy();
  });

  test(`what a long download has behind it is free before its end, on ${place}`, async (t) => {
    const running = await start(t, place, { engine: holdingEngine });
    const reader = await readerOfAll(t, running);
    assert.ok((await reader.take(8 * mebibyte)).equals(old.subarray(0, 8 * mebibyte)));
    const body = seededBytes(mebibyte, 24);
    assert.equal((await send(t, running, overwriting(path, 0, body, 5))).status, 204);
    assert.notEqual((await referencesOf(running)).length, 0, 'the reader is still on its way');
    assert.equal(await reader.hash(size - 8 * mebibyte), sha256(old.subarray(8 * mebibyte)));
    reader.destroy();
  });
}

async function untakenPagesAreWaitedFor(t: TestContext, place: Place, engine: Engine): Promise<void> {
  const running = await start(t, place, { engine });
  const reader = await readerOfAll(t, running);
  const writer = await RawClient.connect(t, running.port);
  const body = seededBytes(10_000, 23);
  const late = await change(writer, overwriting(path, size - 20_000, body, 0));
  assert.deepEqual(refusalIn(late), [409, 'range-busy']);
  ask(writer, overwriting(path, size - 20_000, body, slack));
  await untilWaiting(running, 1);
  assert.equal(await reader.hash(size), sha256(old), 'the reader gets a snapshot');
  assert.equal((await writer.response()).status, 204);
  const written = fileIn(running, 'file.bin').subarray(size - 20_000, size - 10_000);
  assert.ok(written.equals(body));
  for (const client of [reader, writer]) client.destroy();
}

// What lanes send is kept for its readers (unsent.test.ts).
for (const place of ['tmpfs', 'ext4'] as const) {
  test(`pages that no socket has taken are waited for where Node reads them itself, on ${place}`, (t) =>
    untakenPagesAreWaitedFor(t, place, 'stream'));
}

test('a reader that comes behind a waiting writer gets what that wrote', async (t) => {
  const running = await startWaiting(t, { engine: holdingEngine });
  const reader = await readerOfFewPages(t, running);
  const body = seededBytes(30_000, 25);
  const writer = await RawClient.connect(t, running.port);
  ask(writer, overwriting(path, 5000, body, 10));
  await untilWaiting(running, 1);
  const next = await RawClient.connect(t, running.port);
  askForRange(next, path, '5000-34999');
  await until(() => running.service.relay.counters().waitingReaders === 1, 'it waits');
  const other = await RawClient.connect(t, running.port);
  askForRange(other, path, '100000-100009');
  assert.ok((await other.response()).body.equals(old.subarray(100_000, 100_010)), 'readers of other pages do not');
  await reader.response();
  const { fields } = await writer.response();
  const got = await next.response();
  assert.ok(got.body.equals(body));
  assert.equal(got.fields.get('etag'), fields.get('etag'));
  for (const client of [reader, writer, next, other]) client.destroy();
});

test('a reader that never reads is broken off, and the writer has its pages', async (t) => {
  for (const place of ['tmpfs', 'ext4'] as const) {
    const running = await start(t, place, { engine: 'stream', breakHolds: 0.2 });
    const reader = await readerOfAll(t, running);
    const answer = await send(t, running, overwriting(path, 0, seededBytes(size, 26), 2));
    assert.equal(answer.status, 204, place);
    assert.ok(running.service.relay.counters().breaks > 0);
    const rest = await reader.rest();
    assert.ok(rest.bytes < size, 'its body is short, so that it can tell');
    const expected = sha256(old.subarray(0, rest.bytes));
    assert.equal(rest.sha256, expected, 'and all that it has is of before');
    reader.destroy();
    await running.close();
  }
});

function overwritingIf(tag: string, body: Uint8Array): Change {
  const request = overwriting(path, 6000, body, 10);
  return { ...request, fields: { ...request.fields, 'if-match': tag } };
}

test('If-Match is judged before and after the wait for the pages', async (t) => {
  const running = await startWaiting(t, { engine: holdingEngine });
  const body = seededBytes(100, 27);
  const got = await send(t, running, { method: 'GET', path, fields: { range: 'bytes=0-0' } });
  const tag = got.fields.get('etag') ?? assert.fail();
  const stale = await send(t, running, overwritingIf('"stale"', body));
  assert.deepEqual(refusalIn(stale), [412, 'precondition-failed']);
  assert.equal(stale.fields.get('etag'), tag);

  const reader = await readerOfFewPages(t, running);
  const writer = await RawClient.connect(t, running.port);
  ask(writer, overwritingIf(tag, body));
  await untilWaiting(running, 1);
  const other = await send(t, running, overwriting(path, 9 * 4096, Buffer.from('x'), 0));
  assert.equal(other.status, 204, 'somebody changes other bytes');
  await reader.response();
  const late = await writer.response();
  assert.deepEqual(refusalIn(late), [412, 'precondition-failed']);
  assert.equal(late.fields.get('etag'), other.fields.get('etag'));
  assert.ok(
    fileIn(running, 'file.bin')
      .subarray(0, 9 * 4096)
      .equals(old.subarray(0, 9 * 4096)),
  );
  assert.deepEqual(kept(running, 'tmp'), []);
  for (const client of [reader, writer]) client.destroy();
});

test('a writer that goes away while it waits leaves no claim and no file', async (t) => {
  const running = await startWaiting(t, { engine: holdingEngine });
  const reader = await readerOfFewPages(t, running);
  const writer = await RawClient.connect(t, running.port);
  ask(writer, overwriting(path, 6000, Buffer.from('x'), 60));
  await untilWaiting(running, 1);
  writer.reset();
  await untilWaiting(running, 0);
  await until(() => kept(running, 'tmp').length === 0, 'its body is gone');
  const next = await RawClient.connect(t, running.port);
  askForRange(next, path, '5000-34999');
  await next.head();
  assert.ok((await next.take(30_000)).equals(old.subarray(5000, 35_000)), 'readers are let in again');
  for (const client of [reader, next]) client.destroy();
});

test('overlapping overwrites take turns, and each is whole', async (t) => {
  const running = await start(t, 'tmpfs');
  const bodies = Array.from({ length: 8 }, (_, at) => Buffer.alloc(100_000, 65 + at));
  const answers = await Promise.all(bodies.map((body) => send(t, running, overwriting(path, 1000, body, 10))));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([204]));
  assert.equal(new Set(answers.map(({ fields }) => fields.get('etag'))).size, bodies.length);
  const found = fileIn(running, 'file.bin').subarray(1000, 101_000);
  assert.ok(
    bodies.some((body) => body.equals(found)),
    'the bytes are those of one of them',
  );
});
