/** Closing a service with responses on their way. */
import assert from 'node:assert/strict';
import { before, type TestContext, test } from 'node:test';
import type { Engine } from '../../src/relay/relay.ts';
import { createService } from '../../src/service.ts';
import { countOpen, untilClosed } from '../support/descriptors.ts';
import { copyFreeEngines, everyEngine } from '../support/engines.ts';
import { endless } from '../support/limits.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, sha256OfFile, writeRegion } from '../support/regions.ts';
import { serviceDefaults, startService } from '../support/service.ts';
import { warmProcess } from '../support/warm-process.ts';

const mebibyte = 1 << 20;
const size = 40 * mebibyte;

before(warmProcess);

async function inMidBody(t: TestContext, engine: Engine, drain: number) {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 51);
  const before = countOpen();
  const running = await startService(t, { engine, drain, regions: [file] });
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/file.bin');
  assert.equal((await client.head()).status, 200);
  return { file, before, running, client };
}

async function breaksOff(t: TestContext, engine: Engine): Promise<void> {
  const { before, running, client } = await inMidBody(t, engine, 0.2);
  assert.equal(await running.close(), false, 'something had to be broken off');
  const rest = await client.rest();
  assert.ok(rest.bytes < size, `${rest.bytes} bytes: the body is short`);
  client.destroy();
  await untilClosed(before);
}

async function drains(t: TestContext, engine: Engine): Promise<void> {
  const { file, before, running, client } = await inMidBody(t, engine, 20);
  const closing = running.close();
  const { bytes, sha256 } = await client.rest();
  assert.deepEqual({ bytes, sha256 }, { bytes: size, sha256: sha256OfFile(file.path, 0, size - 1) });
  client.destroy();
  assert.equal(await closing, true, 'nothing had to be broken off');
  await untilClosed(before);
}

/** The response has ended for Node and for TCP; the pages are still in the reader's queue. */
async function waitsForReader(t: TestContext, engine: Engine): Promise<void> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 32_768, 52);
  const running = await startService(t, { engine, drain: 10, regions: [file] });
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/file.bin');
  await until(() => running.service.relay.counters().transmissions[engine].complete === 1, 'it is accepted');
  let closed = false;
  const closing = running.close().then((clean) => {
    closed = true;
    return clean;
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(closed, false, 'pages are in flight');
  const { body } = await client.response();
  assert.equal(body.length, file.size);
  client.destroy();
  assert.equal(await closing, true);
}

test('a drain time that is over breaks off what is in mid-body', async (t) => {
  for (const engine of everyEngine) await t.test(`by ${engine}`, (t) => breaksOff(t, engine));
});

test('a drain time that is long enough lets everything complete', async (t) => {
  for (const engine of everyEngine) await t.test(`by ${engine}`, (t) => drains(t, engine));
});

test('draining waits for a local reader that has not read', async (t) => {
  for (const engine of copyFreeEngines) await t.test(`by ${engine}`, (t) => waitsForReader(t, engine));
});

test('idle connections do not hold up a shutdown', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 1000, 53);
  const running = await startService(t, { drain: endless, regions: [file] });
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/file.bin');
  assert.equal((await client.response()).body.length, 1000);
  assert.equal(await running.close(), true, 'it did not wait for the drain time');
  assert.equal((await client.rest()).bytes, 0);
});

test('a service that can not start leaves nothing open', async () => {
  const start = () =>
    createService({ ...serviceDefaults, regions: [{ name: 'none', path: '/nowhere/none' }], lanes: 2, maxHold: 1 });
  const before = countOpen();
  assert.throws(start, { code: 'ENOENT' });
  await untilClosed(before);
});
