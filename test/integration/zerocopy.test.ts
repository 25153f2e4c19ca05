/** The engine zerocopy: what its notices say here, what happens when the kernel has no room for it, and after it. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { outcomesOf } from '../support/holds.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, sha256, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';
import { setFault } from '../support/testing-shim.ts';

const size = 5_000_000;
const content = seededBytes(size, 131);

async function start(t: TestContext): Promise<{ running: Running; client: RawClient }> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 131);
  const running = await startService(t, { engine: 'zerocopy', regions: [file] });
  return { running, client: await RawClient.connect(t, running.port) };
}

async function readWhole(client: RawClient): Promise<void> {
  client.get('/regions/file.bin');
  const { status, body } = await client.response();
  assert.deepEqual([status, sha256(body)], [200, sha256(content)]);
}

test('on loopback the kernel copies what zerocopy sends, and says so', async (t) => {
  const { running, client } = await start(t);
  await readWhole(client);
  const { copied, uncopied } = running.service.relay.counters().zerocopySends;
  assert.ok(copied > 0, 'SO_EE_CODE_ZEROCOPY_COPIED');
  assert.equal(uncopied, 0);
  const { body } = await running.service.app.inject({ url: '/metrics' });
  assert.match(body, new RegExp(`pagerelay_zerocopy_sends_total\\{result="copied"\\} ${copied}\n`));
});

test('few bytes are copied on purpose', async (t) => {
  const { running, client } = await start(t);
  client.get('/regions/file.bin', '100-4195');
  assert.ok((await client.response()).body.equals(content.subarray(100, 4196)));
  const { copied, not_tried: notTried } = running.service.relay.counters().zerocopySends;
  assert.deepEqual([copied, notTried], [0, 1]);
});

test('where the kernel has no room for notices, a chunk is copied', async (t) => {
  const { running, client } = await start(t);
  // The head goes first; then the first send and its second try, each time.
  setFault('send', constants.errno.ENOBUFS, 1, 2);
  try {
    await readWhole(client);
  } finally {
    setFault('send', 0, 0, 0);
  }
  const { copied, not_tried: notTried } = running.service.relay.counters().zerocopySends;
  assert.ok(notTried >= 1 && copied > 0, JSON.stringify({ copied, notTried }));
});

test('pages that the socket could not deliver yet are held until it has', async (t) => {
  const { running, client } = await start(t);
  client.get('/regions/file.bin');
  await client.head();
  const held = () => running.service.relay.references().items[0]?.bytes ?? 0;
  assert.ok(held() > 0, 'the reader has not read');
  assert.equal(sha256(await client.take(size)), sha256(content));
  await until(() => held() === 0, 'it is held no longer');
  assert.deepEqual(outcomesOf(running.service), { complete: 1 });
});

test('no notice is left for Node to spin on', async (t) => {
  const { client } = await start(t);
  for (let round = 0; round < 5; round++) await readWhole(client);
  // Not processor time, of which the test runner takes some for whatever ran in this process before.
  const turns = () => performance.nodeTiming.uvMetricsInfo.loopCount;
  const turnsOfHalfASecond = async () => {
    const before = turns();
    await delay(500);
    return turns() - before;
  };
  // The kernel can be late with a notice, which Node hears of until a lane looks next, a quarter of a second later at most.
  await until(async () => (await turnsOfHalfASecond()) < 2000, 'half a second of idling');
});

test('a client that vanishes in mid-body ends it', async (t) => {
  const { running, client } = await start(t);
  client.get('/regions/file.bin');
  await client.take(100_000);
  client.reset();
  await until(() => running.service.relay.counters().references === 0, 'nothing is held');
  assert.deepEqual(outcomesOf(running.service), { aborted: 1 });
});
