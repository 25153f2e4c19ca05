/** Lanes at a unix socket: what they answer, what Node has from them, and what becomes of readers in the middle of a body. */
import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../src/relay/relay.ts';
import type { ServiceOptions } from '../../src/service.ts';
import { countOpen, untilClosed } from '../support/descriptors.ts';
import { copyFreeEngines } from '../support/engines.ts';
import { outcomesOf, referencesOf, untilReturned, warmUp } from '../support/holds.ts';
import { answersOf, askLane, connectToLane, fedOf, handedOverOf, readByLanes } from '../support/lane-answers.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, sha256, writeRegion } from '../support/regions.ts';
import { change, overwriting } from '../support/requests.ts';
import { startAtSocket } from '../support/service.ts';
import { makeTree } from '../support/writable.ts';

const mebibyte = 1 << 20;
const size = 24 * mebibyte;
const asked = { path: '/regions/file.bin' };
const original = seededBytes(size, 461);

async function start(t: TestContext, options: Partial<ServiceOptions> = {}) {
  const { dir, scope } = makeTree(t, 'tmpfs');
  const file = writeRegion(dir, 'file.bin', size, 461);
  const running = await startAtSocket(scope, join(makeFolder(t, 'tmpfs'), 's'), { dir, ...options });
  return { running, file };
}

test('lanes accept, answer ranges, HEAD and 304, also together, and give the rest to Node', async (t) => {
  const { running } = await start(t);
  const before = await warmUp(t, running, 'file.bin');
  const client = await connectToLane(t, running, asked);
  const sofar = answersOf(running);
  client.get(asked.path, '5000-5999');
  client.write(`HEAD ${asked.path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  client.get(asked.path, `100000-${2 * mebibyte}`);
  const part = await client.response();
  assert.ok(part.status === 206 && part.body.equals(original.subarray(5000, 6000)));
  const head = await client.response('HEAD');
  assert.deepEqual([head.status, head.fields.get('content-length')], [200, String(size)]);
  const { body } = await client.response();
  assert.ok(body.equals(original.subarray(100_000, 2 * mebibyte + 1)));
  client.get(asked.path, undefined, `If-None-Match: ${part.fields.get('etag')}\r\n`);
  assert.equal((await client.response()).status, 304);
  await until(() => answersOf(running) === sofar + 4, 'all by a lane');

  const fed = fedOf(running);
  client.get(asked.path, '0-1,5-6');
  client.get('/metrics');
  assert.equal((await client.response()).fields.get('content-type')?.startsWith('multipart/byteranges'), true);
  const metrics = (await client.response()).body.toString();
  assert.match(metrics, /^pagerelay_express_connections 0$/m, 'Node has it meanwhile');
  assert.equal(fedOf(running), fed + 2);
  await askLane(running, client, asked);
  client.write('POST /leases HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}');
  assert.equal((await client.response()).status, 404);
  assert.equal(handedOverOf(running, 'grammar'), 1);
  assert.equal(readByLanes(running), 0);
  client.get(asked.path, '5-9');
  assert.ok((await client.response()).body.equals(original.subarray(5, 10)), 'Node goes on with it');
  client.destroy();
  await untilReturned(running, before);
});

for (const engine of [...copyFreeEngines, 'copy'] as const satisfies Engine[]) {
  test(`a slow reader gets what was there while its range is written to, by ${engine}`, async (t) => {
    const { running } = await start(t, { engine, writable: true });
    const client = await connectToLane(t, running, asked);
    client.get(asked.path);
    assert.equal((await client.head()).status, 200);
    const writer = await RawClient.connect(t, running.port);
    const [early, late] = [new Uint8Array(65_536).fill(1), new Uint8Array(65_536).fill(2)];
    // The reader has a copy of what it was not sent yet.
    assert.equal((await change(writer, overwriting(asked.path, 20 * mebibyte, late, 30))).status, 204);
    const next = await RawClient.connect(t, running.port);
    const inFlight = change(next, overwriting(asked.path, 0, early, 30));
    assert.equal(await client.hash(size), sha256(original), 'what it gets is the version that it was told');
    assert.equal((await inFlight).status, 204);
    client.get(asked.path, '0-65535');
    assert.ok((await client.response()).body.equals(early));
  });

  test(`a body that is cut while it is sent ends short and unpadded, by ${engine}`, async (t) => {
    const { running, file } = await start(t, { engine });
    const before = await warmUp(t, running, 'file.bin');
    const client = await connectToLane(t, running, asked);
    client.get(asked.path);
    assert.equal((await client.head()).status, 200);
    truncateSync(file.path, 18 * mebibyte + 100);
    const { bytes, sha256: hash } = await client.rest();
    assert.ok(bytes <= 18 * mebibyte + 100, `${bytes}: nothing beyond the new end`);
    assert.equal(hash, sha256(original.subarray(0, bytes)));
    client.destroy();
    await untilReturned(running, before);
    assert.equal(outcomesOf(running.service).truncated, 1);
  });

  test(`who does not read, or goes, leaves nothing, by ${engine}`, async (t) => {
    const patient = (await start(t, { engine })).running;
    const beforeGoing = await warmUp(t, patient, 'file.bin');
    const goes = await connectToLane(t, patient, asked);
    goes.get(asked.path);
    await goes.take(100_000);
    goes.destroy();
    await untilReturned(patient, beforeGoing);
    const { running } = await start(t, { engine, maxHold: 0.2 });
    const before = await warmUp(t, running, 'file.bin');
    const stalls = await connectToLane(t, running, asked);
    stalls.get(asked.path);
    await until(
      () => outcomesOf(running.service).stalled === 1,
      'it is broken off',
      () => outcomesOf(running.service),
    );
    assert.equal((await stalls.head()).status, 200);
    const { bytes, sha256: hash } = await stalls.rest();
    assert.ok(bytes > 0 && bytes < size, `${bytes} bytes: the body is short`);
    assert.equal(hash, sha256(original.subarray(0, bytes)));
    stalls.destroy();
    await untilReturned(running, before);
    assert.deepEqual(await referencesOf(running), []);
  });
}

test('as many connections as there may be: the one closes that was idle longest', async (t) => {
  const { running } = await start(t, { maxConnections: 2 });
  const first = await connectToLane(t, running, asked);
  const second = await connectToLane(t, running, asked);
  let third: RawClient | undefined;
  await until(async () => {
    // A newcomer for whom no room was made within 100 ms is refused.
    third = await connectToLane(t, running, asked).catch(() => undefined);
    return third !== undefined;
  }, 'the newcomer is let in');
  assert.deepEqual(await first.rest().then(({ bytes, error }) => [bytes, error]), [0, undefined]);
  assert.ok(third);
  await askLane(running, third, asked);
  // Who takes long to close, on a busy machine, has another one asked for room.
  if (running.service.relay.counters().limited.idle_closed === 1) await askLane(running, second, asked);
});

test('a service that closes lets a reader finish, and leaves neither connections nor the file of its socket', async (t) => {
  const before = countOpen();
  const { running } = await start(t, { drain: 30 });
  const [reader, idle] = [await connectToLane(t, running, asked), await connectToLane(t, running, asked)];
  reader.get(asked.path);
  assert.equal((await reader.head()).status, 200);
  const closed = running.close();
  assert.equal((await idle.rest()).bytes, 0);
  await assert.rejects(RawClient.connect(t, running.port), { code: 'ENOENT' });
  assert.equal(await reader.hash(size), sha256(original));
  assert.equal((await reader.rest()).bytes, 0);
  assert.equal(await closed, true, 'nothing had to be broken off');
  reader.destroy();
  idle.destroy();
  await untilClosed(before);
});
