/** The page itself is on its way: what is changed beneath it after it was sent is what the reader gets. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../src/relay/relay.ts';
import { copyFreeEngines, copyingEngines } from '../support/engines.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, overwrite, type Place, seededBytes, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';
import { queuesOf } from '../support/tcp.ts';

const size = 1 << 20;

type Verdict = 'all new' | 'all old' | 'mixed';

function verdictOn(body: Buffer, before: Buffer, after: Buffer): Verdict {
  if (body.equals(after)) return 'all new';
  return body.equals(before) ? 'all old' : 'mixed';
}

/** Sends, waits until TCP has acknowledged all of it, overwrites the file, and only then reads. */
async function overwriteAcknowledged(t: TestContext, engine: Engine, place: Place): Promise<Verdict> {
  const file = writeRegion(makeFolder(t, place), 'file.bin', size, 71);
  const { port } = await startService(t, { engine, regions: [file] });
  const client = await RawClient.connect(t, port);
  const first = 4096;
  const length = 32_768;
  client.get('/regions/file.bin', `${first}-${first + length - 1}`);
  const acknowledged = () =>
    queuesOf(port, client.localPort)?.unacknowledged === 0 && (queuesOf(client.localPort, port)?.unread ?? 0) > length;
  await until(acknowledged, 'all is acknowledged', () => queuesOf(port, client.localPort));
  const after = seededBytes(size, 72).subarray(first, first + length);
  overwrite(file.path, first, after);
  const { status, body } = await client.response();
  assert.equal(status, 206);
  return verdictOn(body, seededBytes(size, 71).subarray(first, first + length), after);
}

/** The same, for a body that a lane has carried on and the socket has taken all of. */
async function overwriteAccepted(t: TestContext, engine: Engine): Promise<Verdict> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 73);
  const { port, service } = await startService(t, { engine, regions: [file] });
  const client = await RawClient.connect(t, port);
  const length = 300_000;
  client.get('/regions/file.bin', `0-${length - 1}`);
  const counters = () => service.relay.counters();
  await until(() => counters().transmissions[engine].complete === 1, 'all is accepted', counters);
  if (engine !== 'stream') assert.equal(counters().laneSends, 1);
  const after = seededBytes(length, 74);
  overwrite(file.path, 0, after);
  const { body } = await client.response();
  return verdictOn(body, seededBytes(size, 73).subarray(0, length), after);
}

for (const place of ['tmpfs', 'ext4'] as const) {
  for (const engine of copyFreeEngines) {
    test(`${engine} sends the pages of ${place} themselves`, async (t) => {
      assert.equal(await overwriteAcknowledged(t, engine, place), 'all new');
    });
  }
  for (const engine of copyingEngines) {
    test(`${engine} sends a copy of the pages of ${place}`, async (t) => {
      assert.equal(await overwriteAcknowledged(t, engine, place), 'all old');
    });
  }
}

for (const engine of copyFreeEngines) {
  test(`a lane sends the pages themselves by ${engine}`, async (t) => {
    assert.equal(await overwriteAccepted(t, engine), 'all new');
  });
}

// Not zerocopy: what the peer's queue has no room for is the pages themselves, until it is delivered.
for (const engine of ['copy', 'stream'] as const) {
  test(`a body that is longer than one send is a copy by ${engine}`, async (t) => {
    assert.equal(await overwriteAccepted(t, engine), 'all old');
  });
}
