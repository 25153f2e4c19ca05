/** Readers that make no progress are broken off, and what they could still read stays under watch. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../src/relay/relay.ts';
import type { Open } from '../support/descriptors.ts';
import { copyFreeEngines, copyingEngines } from '../support/engines.ts';
import { connectionsOf, outcomesOf, referencesOf, untilReturned, warmUp } from '../support/holds.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, type RegionFile, seededBytes, sha256, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const mebibyte = 1 << 20;
const size = 24 * mebibyte;
const original = seededBytes(size, 61);
// A little less than the time to a lane's first look: that one then finds it.
const maxHold = 0.2;

type Stalled = { running: Running; file: RegionFile; before: Open };

async function startStalling(t: TestContext, engine: Engine, maxBrokenOff = 1024): Promise<Stalled> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 61);
  const running = await startService(t, { engine, maxHold, maxBrokenOff, drain: 0.1, regions: [file] });
  return { running, file, before: await warmUp(t, running, file.name) };
}

async function stallOne({ running, file }: Stalled, t: TestContext): Promise<RawClient> {
  const stalledBefore = outcomesOf(running.service).stalled ?? 0;
  const client = await RawClient.connect(t, running.port);
  client.get(`/regions/${file.name}`);
  const stalled = () => outcomesOf(running.service).stalled === stalledBefore + 1;
  await until(stalled, 'it is broken off', () => outcomesOf(running.service));
  return client;
}

async function readShort(client: RawClient): Promise<void> {
  assert.equal((await client.head()).status, 200);
  const { bytes, sha256: hash } = await client.rest();
  assert.ok(bytes > 0 && bytes < size, `${bytes} bytes: the body is short`);
  assert.equal(hash, sha256(original.subarray(0, bytes)), 'what came is right');
}

test('a reader that stalls is broken off and can tell', async (t) => {
  for (const engine of [...copyFreeEngines, ...copyingEngines]) {
    await t.test(`by ${engine}`, async (t) => {
      const stalled = await startStalling(t, engine);
      const client = await stallOne(stalled, t);
      await readShort(client);
      client.destroy();
      await untilReturned(stalled.running, stalled.before);
      assert.deepEqual(outcomesOf(stalled.running.service), { complete: 1, stalled: 1 });
    });
  }
});

test('a broken-off local reader stays under watch', async (t) => {
  for (const engine of copyFreeEngines) {
    await t.test(`until it has read, by ${engine}`, async (t) => {
      const stalled = await startStalling(t, engine);
      const client = await stallOne(stalled, t);
      const [reference] = await referencesOf(stalled.running);
      assert.deepEqual([reference?.state, reference?.peerKind], ['sent', 'local']);
      assert.ok((reference?.bytes ?? 0) > 0);
      await readShort(client);
      await until(async () => (await referencesOf(stalled.running)).length === 0, 'the reference goes');
      client.destroy();
      await untilReturned(stalled.running, stalled.before);
    });

    await t.test(`until it closes, by ${engine}`, async (t) => {
      const stalled = await startStalling(t, engine);
      const client = await stallOne(stalled, t);
      assert.equal((await referencesOf(stalled.running))[0]?.state, 'sent');
      client.destroy();
      await untilReturned(stalled.running, stalled.before);
    });
  }
});

test('a reader of a whole small response that never reads is broken off as well', async (t) => {
  for (const engine of copyFreeEngines) {
    await t.test(`by ${engine}`, async (t) => {
      const { running, before } = await startStalling(t, engine);
      const client = await RawClient.connect(t, running.port);
      client.get('/regions/file.bin', '0-29999');
      const brokenOff = () => running.service.relay.counters().brokenOff === 1;
      await until(brokenOff, 'it is broken off', () => running.service.relay.counters());
      assert.equal((await referencesOf(running))[0]?.state, 'sent');
      const { body } = await client.response();
      assert.ok(body.equals(original.subarray(0, 30_000)));
      assert.equal((await client.rest()).bytes, 0);
      client.destroy();
      await untilReturned(running, before);
      assert.deepEqual(outcomesOf(running.service), { complete: 2 });
    });
  }
});

test('beyond the limit the oldest broken-off reader is reset and quarantined', async (t) => {
  for (const engine of copyFreeEngines) {
    await t.test(`by ${engine}`, async (t) => {
      const stalled = await startStalling(t, engine, 1);
      const { running } = stalled;
      const first = await stallOne(stalled, t);
      const [kept] = await referencesOf(running);
      const second = await stallOne(stalled, t);
      const references = await referencesOf(running);
      const states = Object.fromEntries(references.map(({ id, state }) => [id, state]));
      assert.equal(references.length, 2);
      assert.equal(states[kept?.id ?? 0], 'quarantined');
      assert.ok(references.some(({ state }) => state === 'sent'));

      const metrics = (await running.service.app.inject({ url: '/metrics' })).body;
      const quarantined = Number(/^pagerelay_quarantined_bytes (\d+)$/m.exec(metrics)?.[1]);
      assert.equal(quarantined, references.find(({ state }) => state === 'quarantined')?.bytes);
      assert.ok(quarantined > 0);

      await readShort(second);
      second.destroy();
      const onlyFirst = async () => (await referencesOf(running)).length === 1;
      await until(onlyFirst, 'the second goes');
      first.destroy();
      assert.equal(await running.close(), true, 'what is quarantined is not waited for');
    });
  }
});

test('the keep-alive timeout does not end a reference that is undone', async (t) => {
  for (const engine of copyFreeEngines) {
    await t.test(`by ${engine}`, async (t) => {
      const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 30_000, 62);
      const running = await startService(t, { engine, regions: [file], express: false });
      const before = await warmUp(t, running, file.name);
      Object.assign(running.service.app.server, { keepAliveTimeout: 30, keepAliveTimeoutBuffer: 1 });
      const client = await RawClient.connect(t, running.port);
      client.get('/regions/file.bin');
      await until(async () => (await connectionsOf(running)) === 0, 'Node has closed the connection');
      assert.equal((await referencesOf(running))[0]?.state, 'sent');
      const { body } = await client.response();
      assert.equal(sha256(body), sha256(seededBytes(30_000, 62)));
      await until(async () => (await referencesOf(running)).length === 0, 'the reference goes');
      assert.deepEqual(await client.rest(), { bytes: 0, sha256: sha256(Buffer.alloc(0)), error: undefined });
      client.destroy();
      await untilReturned(running, before);
    });
  }
});
