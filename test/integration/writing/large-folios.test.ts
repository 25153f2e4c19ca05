/**
 * Changes of pages that readers have in their queues, where the file has them in large folios: a hole in one of those
 * would be zeros in the queue, so such a change waits.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { copyFreeEngines, holdingEngine } from '../../support/engines.ts';
import { collapse, hugePage, mountTmpfs } from '../../support/large-folios.ts';
import { until } from '../../support/poll.ts';
import { type Place, seededBytes, writeRegion } from '../../support/regions.ts';
import { type Change, overwriting } from '../../support/requests.ts';
import { unread, waitsForReader } from '../../support/unread.ts';
import { fileIn, lastFirst, send, startWritable, type Writable } from '../../support/writable.ts';

const size = 2 * hugePage;
const length = 65_536;
const path = '/regions/file.bin';
const old = seededBytes(size, 1);
const changed = seededBytes(length, 2);
const inHuge = old.subarray(hugePage, hugePage + length);

function resizing(bytes: number): Change {
  const fields = { 'content-type': 'application/merge-patch+json' };
  return { method: 'PATCH', path, fields, body: Buffer.from(JSON.stringify({ size: bytes })) };
}

/** A service with one file, whose second huge page somebody has made; skips the test where that can't be. */
async function startCollapsed(t: TestContext, options: Parameters<typeof startWritable>[2] = {}) {
  const running = await startWritable(t, 'tmpfs', options);
  writeRegion(running.dir, 'file.bin', size, 1);
  const [error] = collapse(join(running.dir, 'file.bin'), hugePage);
  if (error !== 0) t.skip(`this kernel makes no huge page of a tmpfs file: MADV_COLLAPSE says ${error}`);
  return error === 0 ? running : undefined;
}

for (const engine of copyFreeEngines) {
  test(`an overwrite waits for readers of a huge page that somebody has collapsed, by ${engine}`, async (t) => {
    const running = await startCollapsed(t, { engine });
    if (running) await waitsForReader(t, running, hugePage, changed);
  });
}

for (const option of ['always', 'within_size', 'advise'] as const) {
  test(`an overwrite waits for readers on a tmpfs that is mounted huge=${option}`, async (t) => {
    const scope = lastFirst(t);
    const mounted = mountTmpfs(scope, `size=64m,huge=${option}`);
    if ('missing' in mounted) return t.skip(mounted.missing);
    const running = await startWritable(scope, 'tmpfs', { engine: holdingEngine, dir: mounted.folder });
    writeRegion(running.dir, 'file.bin', size, 1);
    if (option === 'advise') assert.deepEqual(collapse(join(running.dir, 'file.bin'), hugePage), [0]);
    await waitsForReader(t, running, hugePage, changed);
  });
}

test('an overwrite waits for no reader of small folios of a file that has a huge page too', async (t) => {
  const running = await startCollapsed(t, { engine: holdingEngine });
  if (!running) return;
  const reader = await unread(t, running, 0, length - 1);
  assert.equal((await send(t, running, overwriting(path, 0, changed, 0))).status, 204);
  assert.ok((await reader.response()).body.equals(old.subarray(0, length)));
  reader.destroy();
});

test('an overwrite of a huge page that nobody reads waits for nothing', async (t) => {
  const running = await startCollapsed(t);
  if (!running) return;
  const reader = await unread(t, running, hugePage + length, hugePage + 2 * length - 1);
  assert.equal((await send(t, running, overwriting(path, hugePage, changed, 0))).status, 204);
  const { body } = await reader.response();
  assert.ok(body.equals(old.subarray(hugePage + length, hugePage + 2 * length)), 'nor is what others read changed');
  reader.destroy();
});

async function shrinksBehind(t: TestContext, running: Writable): Promise<void> {
  const end = hugePage + 8192; // References are on whole pages.
  const across = await unread(t, running, hugePage, hugePage + length - 1);
  const inFront = await unread(t, running, hugePage, end - 1);
  assert.equal((await send(t, running, resizing(end))).status, 204);
  assert.ok((await across.response()).body.equals(inHuge), 'what is cut off is as it was for who has it');
  await until(() => fileIn(running, 'file.bin').length === end, 'the file is cut when nobody has what is behind it');
  const { body } = await inFront.response();
  assert.ok(body.equals(inHuge.subarray(0, 8192)), 'the cut reaches no byte before it');
  for (const client of [across, inFront]) client.destroy();
}

test('a region that shrinks inside a huge page is cut behind its readers', async (t) => {
  const running = await startCollapsed(t, { engine: holdingEngine });
  if (running) await shrinksBehind(t, running);
});

const places: readonly Place[] = ['ext4', 'tmpfs'];
for (const place of places) {
  test(`a region that shrinks is cut behind its readers, on ${place}`, async (t) => {
    const running = await startWritable(t, place, { engine: holdingEngine });
    writeRegion(running.dir, 'file.bin', size, 1);
    await shrinksBehind(t, running);
  });
}
