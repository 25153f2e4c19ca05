/** However a response ends, its reference goes once, and descriptors, pipes and mappings go back to what they were. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Outcome } from '../../src/relay/relay.ts';
import { amount } from '../support/amount.ts';
import { countOpen, untilClosed } from '../support/descriptors.ts';
import { everyEngine } from '../support/engines.ts';
import { droppedBy, outcomesOf, untilReturned } from '../support/holds.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, type RegionFile, sha256OfFile, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const mebibyte = 1 << 20;

type Way = {
  readonly outcome: Outcome;
  readonly act: (t: TestContext, running: Running, file: RegionFile) => Promise<void>;
};

async function begin(t: TestContext, running: Running, file: RegionFile): Promise<RawClient> {
  const client = await RawClient.connect(t, running.port);
  client.get(`/regions/${file.name}`);
  await until(() => running.service.relay.counters().references > 0, 'the response has begun');
  return client;
}

const ways: Record<string, Way> = {
  success: {
    outcome: 'complete',
    act: async (t, running, file) => {
      const client = await RawClient.connect(t, running.port);
      client.get(`/regions/${file.name}`, '1-3000000');
      assert.equal((await client.head()).status, 206);
      assert.equal(await client.hash(3_000_000), sha256OfFile(file.path, 1, 3_000_000));
      client.destroy();
    },
  },
  'a client that goes away before it reads the head': {
    outcome: 'aborted',
    act: async (t, running, file) => {
      (await begin(t, running, file)).destroy();
    },
  },
  'a client that goes away in mid-body': {
    outcome: 'aborted',
    act: async (t, running, file) => {
      const client = await begin(t, running, file);
      await client.take(2 * mebibyte);
      client.destroy();
    },
  },
  'a client that goes away after its FIN': {
    outcome: 'aborted',
    act: async (t, running, file) => {
      const client = await begin(t, running, file);
      client.end();
      await client.take(mebibyte);
      client.destroy();
    },
  },
  'a client that resets the connection': {
    outcome: 'aborted',
    act: async (t, running, file) => {
      const client = await begin(t, running, file);
      await client.take(mebibyte);
      client.reset();
    },
  },
  'a client that resets before it reads anything': {
    outcome: 'aborted',
    act: async (t, running, file) => {
      (await begin(t, running, file)).reset();
    },
  },
};

async function checkWay(t: TestContext, running: Running, file: RegionFile, { act, outcome }: Way): Promise<void> {
  const { relay } = running.service;
  const before = { open: countOpen(), outcomes: outcomesOf(running.service), dropped: droppedBy(relay.counters()) };
  await act(t, running, file);
  await untilReturned(running, before.open);
  assert.equal(droppedBy(relay.counters()), before.dropped + 1, 'one reference was dropped, once');
  const expected = { ...before.outcomes, [outcome]: (before.outcomes[outcome] ?? 0) + 1 };
  assert.deepEqual(outcomesOf(running.service), expected);
}

for (const engine of everyEngine) {
  test(`every way out gives everything back, by ${engine}`, async (t) => {
    const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 24 * mebibyte + 123, 31);
    const success = ways.success as Way;
    const first = await startService(t, { engine, regions: [file] });
    await success.act(t, first, file);
    await first.close();
    const before = countOpen();

    const running = await startService(t, { engine, regions: [file] });
    await success.act(t, running, file);
    await untilReturned(running, { descriptors: 1e9, pipes: 1e9, mappings: 1e9 });
    for (const [name, way] of Object.entries(ways)) {
      for (let again = 0; again < amount(1, 3); again++) {
        await t.test(`${name} (${again})`, async (t) => {
          // An empty pipe is kept for the next transmission, a used one thrown away: each way begins with one kept.
          await success.act(t, running, file);
          await untilReturned(running, { descriptors: 1e9, pipes: 1e9, mappings: 1e9 });
          await checkWay(t, running, file, way);
        });
      }
    }
    assert.equal(await running.close(), true);
    await untilClosed(before);
  });
}
