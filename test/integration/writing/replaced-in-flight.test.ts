/** Readers in flight while their region is replaced, or removed. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../../src/relay/relay.ts';
import { inTurn, isLong, twoInTurn } from '../../support/amount.ts';
import { everyEngine, holdingEngine } from '../../support/engines.ts';
import { outcomesOf, referencesOf, untilReturned, warmUp } from '../../support/holds.ts';
import { until } from '../../support/poll.ts';
import { RawClient } from '../../support/raw.ts';
import { type Place, seededBytes, sha256 } from '../../support/regions.ts';
import { ask, askForRange, change } from '../../support/requests.ts';
import { externalChangesIn, kept, put, read, send, startWritable, untilOldIsGone } from '../../support/writable.ts';

const mebibyte = 1 << 20;
const size = 24 * mebibyte;
const path = '/regions/file.bin';
const contents = [1, 2, 3].map((seed) => seededBytes(size, seed));

async function replacedInFlight(t: TestContext, place: Place, engine: Engine): Promise<void> {
  const running = await startWritable(t, place, { engine });
  const [first = assert.fail(), second = assert.fail(), third = assert.fail()] = contents;
  await put(t, running, 'file.bin', first);
  const open = await warmUp(t, running, 'file.bin');
  const begin = async () => {
    const client = await RawClient.connect(t, running.port);
    ask(client, { method: 'GET', path });
    await client.head();
    return client;
  };
  const readers = [await begin()];
  await put(t, running, 'file.bin', second);
  readers.push(await begin());
  await put(t, running, 'file.bin', third);
  readers.push(await begin());
  assert.equal((await send(t, running, { method: 'DELETE', path })).status, 204);
  assert.equal((await send(t, running, { method: 'GET', path, fields: { range: 'bytes=0-0' } })).status, 404);

  const references = await referencesOf(running);
  assert.deepEqual(new Set(references.map(({ region }) => region)), new Set(['file.bin']));
  assert.equal(references.length, 3);
  const links = kept(running, 'old').map((name) => statSync(join(running.dir, '.pagerelay', 'old', name)));
  assert.deepEqual(
    links.map((file) => [file.size, file.nlink]),
    [1, 2, 3].map(() => [size, 1]),
  );
  for (const [at, reader] of readers.entries()) {
    assert.equal(await reader.hash(size), sha256(contents[at] ?? assert.fail()), `reader ${at}`);
    reader.destroy();
    await until(() => kept(running, 'old').length === 2 - at, 'its file goes when it has read');
  }
  // As many pipes as were on their way at once wait for their next use.
  await untilReturned(running, { ...open, pipes: open.pipes + 6 });
  assert.equal(externalChangesIn(running), 0, 'none of it was done by others');
}

for (const [at, engine] of (isLong ? everyEngine : twoInTurn(everyEngine, 0)).entries()) {
  for (const place of inTurn(['tmpfs', 'ext4'] as const, at)) {
    test(`readers in flight get their own generation to its end, on ${place} by ${engine}`, (t) =>
      replacedInFlight(t, place, engine));
  }
}

test('what is sent and unread keeps its file until it is read', async (t) => {
  const running = await startWritable(t, 'ext4', { engine: holdingEngine });
  const [first = assert.fail()] = contents;
  await put(t, running, 'file.bin', first);
  const reader = await RawClient.connect(t, running.port);
  askForRange(reader, path, '0-29999');
  await until(() => outcomesOf(running.service).complete === 1, 'all is sent');
  for (let turn = 0; turn < 3; turn++) await put(t, running, 'file.bin', Buffer.alloc(30_000, 65 + turn));
  await until(() => kept(running, 'old').length === 1, 'what nobody reads goes');
  assert.equal((await referencesOf(running))[0]?.state, 'sent');
  assert.equal(kept(running, 'old').length, 1);
  assert.ok((await reader.response()).body.equals(first.subarray(0, 30_000)));
  await untilOldIsGone(running);
  reader.destroy();
});

test('a file that was resized while it was read is kept for that reader, too', async (t) => {
  for (const method of ['PUT', 'DELETE']) {
    const running = await startWritable(t, 'ext4');
    const [first = assert.fail()] = contents;
    await put(t, running, 'file.bin', first);
    const reader = await RawClient.connect(t, running.port);
    askForRange(reader, path, '0-29999');
    await until(() => outcomesOf(running.service).complete === 1, 'all is sent');
    // The region is opened anew, and the reader has the earlier opening.
    const fields = { 'content-type': 'application/merge-patch+json' };
    const resized = await send(t, running, { method: 'PATCH', path, fields, body: Buffer.from('{"size":20000}') });
    assert.equal(resized.status, 204);
    if (method === 'PUT') await put(t, running, 'file.bin', Buffer.from('new'));
    else assert.equal((await send(t, running, { method, path })).status, 204);
    assert.equal(kept(running, 'old').length, 1, method);
    assert.ok((await reader.response()).body.equals(first.subarray(0, 30_000)));
    await untilOldIsGone(running);
    reader.destroy();
  }
});

test('If-Range of a replaced generation gets all of the new one', async (t) => {
  const running = await startWritable(t);
  const tag = await put(t, running, 'file.bin', Buffer.from('first'));
  await put(t, running, 'file.bin', Buffer.from('second'));
  const fields = { range: 'bytes=1-2', 'if-range': tag };
  const { status, body } = await send(t, running, { method: 'GET', path, fields });
  assert.deepEqual([status, body.toString()], [200, 'second']);
});

test('readers and replacements at once: every response is one whole content', async (t) => {
  const running = await startWritable(t, 'ext4');
  const known = new Map<string, string>();
  // Enough to be spliced; readers and service have one event loop here, and a writer waits for each turn of it.
  const bodyOf = (turn: number) => seededBytes(70_000 + turn, turn);
  known.set(await put(t, running, 'file.bin', bodyOf(0)), sha256(bodyOf(0)));
  let writing = true;
  const readers = Array.from({ length: 6 }, async () => {
    const client = await RawClient.connect(t, running.port);
    const seen: { etag: string; sha256: string }[] = [];
    while (writing) {
      const { status, fields, body } = await change(client, { method: 'GET', path });
      assert.equal(status, 200);
      seen.push({ etag: fields.get('etag') ?? '', sha256: sha256(body) });
    }
    client.destroy();
    return seen;
  });
  for (let turn = 1; turn <= 10; turn++)
    known.set(await put(t, running, 'file.bin', bodyOf(turn)), sha256(bodyOf(turn)));
  writing = false;
  const seen = (await Promise.all(readers)).flat();
  for (const { etag, sha256 } of seen) assert.equal(sha256, known.get(etag), etag);
  assert.ok(seen.length > 6);
  assert.equal(known.size, 11);
  assert.ok((await read(t, running, 'file.bin')).etag !== '');
  await untilOldIsGone(running);
  assert.equal(externalChangesIn(running), 0, 'none of it was done by others');
});
