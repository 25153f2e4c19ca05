/** Readers without progress cost a bounded time, each for itself. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { countOpen, type Open, untilClosed } from '../support/descriptors.ts';
import { everyEngine } from '../support/engines.ts';
import { outcomesOf, untilReturned, warmUp } from '../support/holds.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, sha256, sha256OfFile, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';
import { warmProcess } from '../support/warm-process.ts';

const mebibyte = 1 << 20;
const size = 24 * mebibyte;
const stalled = 60;
const maxHold = 2;
const pauseMilliseconds = 150;

// All at once: most of it is waiting, and a busy machine shall have time to make some progress within maxHold.
describe('readers without progress', { concurrency: true }, () => {
  let opened: Open;

  before(async () => {
    await warmProcess();
    opened = countOpen();
  });

  for (const engine of everyEngine) {
    test(`many stalled readers are broken off and a slow one is not, by ${engine}`, async (t) => {
      const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 151);
      const running = await startService(t, { engine, maxHold, lanes: 1, regions: [file] });
      await warmUp(t, running, file.name);
      const clients = await Promise.all(Array.from({ length: stalled }, () => RawClient.connect(t, running.port)));
      const slow = await RawClient.connect(t, running.port);
      const began = performance.now();
      for (const client of [...clients, slow]) client.get('/regions/file.bin');
      assert.equal((await slow.head()).status, 200);

      // The slow reader takes longer than maxHold over the body, but never so long over a part of it.
      const content = seededBytes(size, 151);
      for (let at = 0; at < size; at += mebibyte) {
        assert.ok((await slow.take(mebibyte)).equals(content.subarray(at, at + mebibyte)), `the mebibyte at ${at}`);
        await delay(pauseMilliseconds); // A reader's own pace: nothing is waited for here.
      }
      assert.ok(performance.now() - began > 1.5 * maxHold * 1000);
      const allStalled = () => (outcomesOf(running.service).stalled ?? 0) === stalled;
      await until(allStalled, 'they are broken off', () => outcomesOf(running.service));
      assert.equal(outcomesOf(running.service).complete, 2, 'the slow one has all of it');

      for (const client of clients) {
        assert.equal((await client.head()).status, 200);
        const { bytes, sha256: hash } = await client.rest();
        assert.ok(bytes < size, 'the body is short');
        assert.equal(hash, sha256(content.subarray(0, bytes)), 'what came is right');
        client.destroy();
      }
      slow.get('/regions/file.bin', '1-99999');
      assert.equal(sha256((await slow.response()).body), sha256OfFile(file.path, 1, 99_999), 'its connection goes on');
      slow.destroy();
      await untilReturned(running, { descriptors: 1e9, pipes: 1e9, mappings: 1e9 });
    });
  }

  after(async () => {
    await untilClosed(opened);
  });
});
