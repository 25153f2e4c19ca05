/** The gauges and histograms of what is on its way, and of who waits for it. @module */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Durations } from '../../src/relay/durations.ts';
import type { Counters } from '../../src/relay/relay.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { change } from '../support/requests.ts';
import { type Running, startService } from '../support/service.ts';

const size = 64 << 20;
const path = '/regions/region.bin';

for (const engine of ['sendfile', 'splice'] as const) {
  test(`pages, bytes and states follow a body from its first byte to done, by ${engine}`, async (t) => {
    const running = await serve(t, { engine });
    const client = await RawClient.connect(t, running.port);
    client.get(path, '4000-8999,20480-20480');
    await until(() => counted(running).inFlight.accepted === 1, 'it is accepted, and unread');
    const { inFlight, heldPages, references } = counted(running);
    assert.deepEqual(inFlight, { held: 0, sending: 0, accepted: 1, broken: 0, quarantined: 0 });
    assert.deepEqual([heldPages, references], [4, 1], 'three pages of the first range and one of the second');
    assert.equal(counts(counted(running)).accepted, 1);
    assert.equal(counts(counted(running)).done, 0);
    await client.response();
    await until(
      () => counted(running).references === 0,
      'it is done',
      () => counted(running),
    );
    assert.deepEqual(counted(running).inFlight, { held: 0, sending: 0, accepted: 0, broken: 0, quarantined: 0 });
    assert.deepEqual([counted(running).heldPages, counted(running).heldBytes], [0, 0]);
    assert.deepEqual(counts(counted(running)), { accepted: 1, acknowledged: 1, done: 1 });
  });
}

test('what does not move is told of as a stall, and a broken body as broken until it is done', async (t) => {
  const running = await serve(t, { maxHold: 5 });
  const client = await RawClient.connect(t, running.port);
  client.get(path);
  await until(
    () => [counted(running)].some(({ stalledSeconds, inFlight }) => stalledSeconds > 0.3 && inFlight.sending === 1),
    'it stalls',
    () => counted(running),
  );
  await until(
    () => counted(running).inFlight.broken === 1,
    'it is broken off',
    () => counted(running),
  );
  assert.ok(counted(running).stalledSeconds > 0.3, 'its pages are held all the same');
  await client.rest();
  await until(
    () => counted(running).references === 0,
    'it is done',
    () => counted(running),
  );
  await until(
    () => counted(running).stalledSeconds === 0,
    'nothing stalls',
    () => counted(running),
  );
  assert.equal(counts(counted(running)).accepted, 0, 'it was never accepted whole');
});

test('writers and readers that wait are counted with how long they waited', async (t) => {
  const running = await serve(t, { writable: true });
  const [slow, writer, reader] = await Promise.all([1, 2, 3].map(() => RawClient.connect(t, running.port)));
  assert.ok(slow && writer && reader);
  slow.get(path);
  await slow.head();
  const fields = { 'content-type': 'application/json', prefer: 'wait=1' };
  const leasing = (last: number) => {
    const body = Buffer.from(JSON.stringify({ region: 'region.bin', first: 0, last, ttlSeconds: 60 }));
    return change(writer, { method: 'POST', path: '/leases', fields, body });
  };
  assert.equal((await leasing(262_143)).status, 409, 'the reader has pages in flight');
  assert.deepEqual(waits(running), { writer: 1, reader: 0 });
  assert.ok(counted(running).waits.writer.sum > 0.5);
  slow.destroy();
  await until(() => counted(running).references === 0, 'nothing is held');

  const lease = await leasing(4095);
  assert.equal(lease.status, 201);
  reader.get(path, '0-9');
  await until(() => counted(running).waitingReaders === 1, 'the reader waits');
  const { id } = JSON.parse(lease.body.toString()) as { id: string };
  await change(writer, { method: 'DELETE', path: `/leases/${id}` });
  await reader.response();
  assert.deepEqual(waits(running), { writer: 1, reader: 1 });
});

test('lanes have their connections, and the time that they have worked', async (t) => {
  const running = await serve(t, { lanes: 2 });
  const clients = await Promise.all([1, 2, 3, 4].map(() => RawClient.connect(t, running.port)));
  for (const client of clients) {
    client.get(path);
    await client.response();
  }
  const lanes = running.service.relay.lanes();
  assert.deepEqual(
    lanes.map(({ connections }) => connections),
    [2, 2],
  );
  for (const { cpuSeconds } of lanes) assert.ok(cpuSeconds > 0 && cpuSeconds < 10, `${cpuSeconds} s`);
});

function serve(t: TestContext, options = {}): Promise<Running> {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'region.bin', size);
  return startService(t, { dir, ...options });
}

function counted({ service }: Running): Counters {
  return service.relay.counters();
}

function counts({ acceptedSeconds, acknowledgedSeconds, holdSeconds }: Counters) {
  return { accepted: total(acceptedSeconds), acknowledged: total(acknowledgedSeconds), done: total(holdSeconds) };
}

function waits(running: Running) {
  const { writer, reader } = counted(running).waits;
  return { writer: total(writer), reader: total(reader) };
}

function total({ buckets }: Durations): number {
  return buckets.reduce((sum, [, count]) => sum + count, 0);
}
