/** One lane gives every connection its turn. */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../src/relay/relay.ts';
import { everyEngine } from '../support/engines.ts';
import { until } from '../support/poll.ts';
import { start } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, type RegionFile, sha256OfFile, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const mebibyte = 1 << 20;
const readers = 20;
// More than anyone can read while a test lasts; a hole in tmpfs costs no memory.
const hugeBytes = 2 ** 40;

function writeHole(folder: string): RegionFile {
  const path = join(folder, 'huge.bin');
  const fd = openSync(path, 'w');
  ftruncateSync(fd, hugeBytes);
  closeSync(fd);
  return { name: 'huge.bin', path, size: hugeBytes };
}

/** Reads nearly all of the small region; returns how many bytes that are. */
async function readSmall(t: TestContext, running: Running, small: RegionFile, at: number): Promise<number> {
  const [first, last] = [at, small.size - 1 - at];
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/small.bin', `${first}-${last}`);
  assert.equal((await client.head()).status, 206);
  assert.equal(await client.hash(last - first + 1), sha256OfFile(small.path, first, last), `reader ${at}`);
  client.destroy();
  return last - first + 1;
}

async function checkTurns(t: TestContext, engine: Engine): Promise<void> {
  const folder = makeFolder(t, 'tmpfs');
  const small = writeRegion(folder, 'small.bin', 3 * mebibyte, 131);
  const running = await startService(t, { engine, lanes: 1, drain: 0, regions: [writeHole(folder), small] });
  const fast = start(t, 'curl', ['-sS', '-o', '/dev/null', `${running.origin}/regions/huge.bin`]);
  await until(() => running.service.relay.counters().sentBytes[engine] > 64 * mebibyte, 'the fast reader reads');

  let sentToSmall = 0;
  const sentToFast = () => running.service.relay.counters().sentBytes[engine] - sentToSmall;
  const before = sentToFast();
  for (const bytes of await Promise.all(Array.from({ length: readers }, (_, at) => readSmall(t, running, small, at)))) {
    sentToSmall += bytes;
  }
  assert.ok(sentToFast() > before, 'the fast reader has gone on beside them');
  for (let turn = 0; turn < 3; turn++) {
    sentToSmall += await readSmall(t, running, small, turn);
    const now = sentToFast();
    await until(() => sentToFast() > now, 'both have their turns');
  }
  assert.equal(fast.process.exitCode, null, 'it still reads');
  fast.process.kill();
  await until(() => running.service.relay.counters().references === 0, 'the fast reader is gone');
}

for (const engine of everyEngine) {
  test(`a fast reader of a huge range starves no other, by ${engine}`, (t) => checkTurns(t, engine));
}

test('a reader that reads nothing holds up no other on its lane', async (t) => {
  const folder = makeFolder(t, 'tmpfs');
  const small = writeRegion(folder, 'small.bin', 3 * mebibyte, 132);
  const running = await startService(t, { lanes: 1, drain: 0, regions: [writeHole(folder), small] });
  const silent = await Promise.all(Array.from({ length: 50 }, () => RawClient.connect(t, running.port)));
  for (const client of silent) client.get('/regions/huge.bin');
  await until(() => running.service.relay.counters().references === silent.length, 'all of them hold pages');
  for (let at = 0; at < readers; at++) await readSmall(t, running, small, at);
  for (const client of silent) client.destroy();
  await until(() => running.service.relay.counters().references === 0, 'they are gone');
});
