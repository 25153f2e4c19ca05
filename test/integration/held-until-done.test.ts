/** A reference outlives Node's response and TCP's acknowledgement: it goes when the reader has read. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../src/relay/relay.ts';
import { copyFreeEngines, copyingEngines } from '../support/engines.ts';
import { type ListedReference, referencesOf } from '../support/holds.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';
import { queuesOf } from '../support/tcp.ts';
import { pretend } from '../support/testing-shim.ts';

const mebibyte = 1 << 20;

/** Node's response has ended (its request is counted), and TCP has acknowledged every byte of it. */
async function untilEndedAndAcknowledged(running: Running, client: RawClient, requests: number): Promise<void> {
  const ended = async () => {
    const metrics = (await running.service.app.inject({ url: '/metrics' })).body;
    const ofRanges = metrics.matchAll(/^pagerelay_http_requests_total\{method="GET",status="206",.*\} (\d+)$/gm);
    return [...ofRanges].reduce((sum, [, count]) => sum + Number(count), 0) === requests;
  };
  await until(ended, 'the response has ended');
  const acknowledged = () => queuesOf(running.port, client.localPort)?.unacknowledged === 0;
  await until(acknowledged, 'all is acknowledged');
}

async function slowReader(t: TestContext, engine: Engine): Promise<void> {
  const folder = makeFolder(t, 'tmpfs');
  const file = writeRegion(folder, 'file.bin', mebibyte, 81);
  const running = await startService(t, { engine, regions: [file, writeRegion(folder, 'other.bin', 10)] });
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/file.bin', '5000-34999');
  await untilEndedAndAcknowledged(running, client, 1);

  const [reference, ...more] = await referencesOf(running);
  assert.ok(reference);
  assert.deepEqual(more, []);
  const { id, ageSeconds, ...rest } = reference;
  assert.ok(Number.isSafeInteger(id) && ageSeconds > 0 && ageSeconds < 10);
  assert.deepEqual(rest, {
    region: 'file.bin',
    first: 5000,
    last: 34_999,
    bytes: 30_000,
    state: 'sent',
    engine,
    peer: `127.0.0.1:${client.localPort}`,
    peerKind: 'local',
  });
  const ofRegion = async (name: string) => {
    const answer = await running.service.app.inject({ url: `/references?region=${name}` });
    return (answer.json() as { references: ListedReference[] }).references.length;
  };
  assert.deepEqual([await ofRegion('file.bin'), await ofRegion('other.bin')], [1, 0]);
  const { references, heldBytes } = running.service.relay.counters();
  assert.deepEqual([references, heldBytes], [1, 30_000]);

  const { body } = await client.response();
  assert.ok(body.equals(seededBytes(mebibyte, 81).subarray(5000, 35_000)));
  assert.deepEqual(await referencesOf(running), [], 'it goes once it has been read, at the next look');
  assert.equal(running.service.relay.counters().heldBytes, 0);
}

async function pipelined(t: TestContext, engine: Engine): Promise<void> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', mebibyte, 82);
  const running = await startService(t, { engine, regions: [file] });
  const client = await RawClient.connect(t, running.port);
  for (const range of ['0-4095', '8192-16383', '3-3']) client.get('/regions/file.bin', range);
  await untilEndedAndAcknowledged(running, client, 3);
  const held = (await referencesOf(running)).map(({ first, last, state }) => ({ first, last, state }));
  assert.deepEqual(
    held.sort((one, other) => one.last - other.last),
    [
      { first: 3, last: 3, state: 'sent' },
      { first: 0, last: 4095, state: 'sent' },
      { first: 8192, last: 16_383, state: 'sent' },
    ],
  );
  for (let answer = 0; answer < 3; answer++) await client.response();
  assert.deepEqual(await referencesOf(running), []);
}

async function shrinks(t: TestContext, engine: Engine): Promise<void> {
  const size = 24 * mebibyte + 77;
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 83);
  const running = await startService(t, { engine, regions: [file] });
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/file.bin', `100-${size - 1}`);
  assert.equal((await client.head()).status, 206);
  let firstBefore = 100;
  let left = size - 100;
  for (; left > 4 * mebibyte; left -= 4 * mebibyte) {
    await client.take(4 * mebibyte);
    const [reference] = await referencesOf(running);
    assert.ok(reference, 'the rest is held');
    const { first, last, bytes } = reference;
    assert.equal(bytes, last - first + 1);
    assert.equal(last, size - 1);
    assert.ok(first > firstBefore, 'what has been read is given back from the front');
    assert.equal(first % 4096, 0, 'by whole pages');
    firstBefore = first;
  }
  await client.take(left);
  await until(async () => (await referencesOf(running)).length === 0, 'it goes once it has been read');
}

const behaviours = {
  'are shown and held while a local reader has not read': slowReader,
  'of pipelined responses are held one by one': pipelined,
  'shrink from the front as the reader reads': shrinks,
};

for (const [behaviour, check] of Object.entries(behaviours)) {
  test(`references ${behaviour}`, async (t) => {
    for (const engine of copyFreeEngines) await t.test(`by ${engine}`, (t) => check(t, engine));
  });
}

async function acceptedAndUnread(t: TestContext, running: Running): Promise<ListedReference[]> {
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/file.bin', '0-29999');
  await untilEndedAndAcknowledged(running, client, 1);
  return referencesOf(running);
}

test('a copy is free as soon as the socket has taken it', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', mebibyte, 84);
  for (const engine of copyingEngines) {
    await t.test(`by ${engine}`, async (t) => {
      assert.deepEqual(await acceptedAndUnread(t, await startService(t, { engine, regions: [file] })), []);
    });
  }
});

test('a done rule that lets go when the socket has taken the bytes would be seen', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', mebibyte, 85);
  for (const releaseWhenAccepted of [true, false]) {
    pretend(t, { releaseWhenAccepted });
    const running = await startService(t, { regions: [file] });
    assert.equal((await acceptedAndUnread(t, running)).length, releaseWhenAccepted ? 0 : 1);
  }
});
