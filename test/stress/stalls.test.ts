/** Readers without progress cost a bounded time, each for itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyEngine } from '../support/engines.ts';
import { outcomesOf, untilReturned, warmUp } from '../support/holds.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, sha256, sha256OfFile, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';

const mebibyte = 1 << 20;
const size = 24 * mebibyte;
const stalled = 60;
const maxHold = 0.5;

for (const engine of everyEngine) {
  test(`many stalled readers are broken off and a slow one is not, by ${engine}`, async (t) => {
    const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 151);
    const running = await startService(t, { engine, maxHold, lanes: 1, regions: [file] });
    const before = await warmUp(t, running, file.name);
    const clients = await Promise.all(Array.from({ length: stalled }, () => RawClient.connect(t, running.port)));
    const slow = await RawClient.connect(t, running.port);
    const began = performance.now();
    for (const client of [...clients, slow]) client.get('/regions/file.bin');
    assert.equal((await slow.head()).status, 200);

    // The slow reader takes several times maxHold over the body, but never so long over a part of it.
    const content = seededBytes(size, 151);
    for (let at = 0; at < size; at += mebibyte) {
      assert.ok((await slow.take(mebibyte)).equals(content.subarray(at, at + mebibyte)), `the mebibyte at ${at}`);
      const until100 = performance.now() + 100;
      await until(() => performance.now() > until100, 'the reader is slow');
    }
    assert.ok(performance.now() - began > 4 * maxHold * 1000);
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
    await untilReturned(running, before);
  });
}
