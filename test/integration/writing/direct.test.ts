/** Overwrites past the page cache, on file systems that promise that: pages that readers have in flight stay as they are. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { truncateSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { inTurn } from '../../support/amount.ts';
import { copyFreeEngines, holdingEngine } from '../../support/engines.ts';
import { mountLoop } from '../../support/mounts.ts';
import { until } from '../../support/poll.ts';
import { seededBytes, writeRegion } from '../../support/regions.ts';
import { type Change, overwriting } from '../../support/requests.ts';
import { setFault } from '../../support/testing-shim.ts';
import { unread, waitsForReader } from '../../support/unread.ts';
import { fileIn, lastFirst, put, refusalIn, send, startWritable, type Writable } from '../../support/writable.ts';

const page = 4096;
const size = 100 * page + 123;
const path = '/regions/file.bin';
const old = seededBytes(size, 1);

type Mount = readonly [type: 'ext4' | 'xfs' | 'btrfs', options?: Parameters<typeof mountLoop>[2]];

/** A service on a file system of its own, with one file. The test is skipped where there can be none. */
async function start(t: TestContext, [type, how]: Mount, options: Parameters<typeof startWritable>[2] = {}) {
  const scope = lastFirst(t);
  const mounted = mountLoop(scope, type, how);
  if ('missing' in mounted) {
    if (process.env.CI) assert.fail(mounted.missing);
    t.skip(`SKIP: ${mounted.missing}`);
    return undefined;
  }
  writeRegion(mounted.folder, 'file.bin', size, 1);
  return startWritable(scope, 'tmpfs', { engine: holdingEngine, dir: mounted.folder, ...options });
}

async function meansIn(t: TestContext, running: Writable): Promise<unknown> {
  const { body } = await send(t, running, { method: 'GET', path: '/regions' });
  const { regions } = JSON.parse(body.toString()) as { regions: { overwriteMeans: unknown }[] };
  return regions[0]?.overwriteMeans;
}

/** Every reader gets what was there when it asked, and no writer waits. */
async function waitsForNobody(t: TestContext, running: Writable, content = old): Promise<void> {
  assert.equal(await meansIn(t, running), 'direct');
  const expected = Buffer.from(content);
  for (const [turn, [first, length]] of [
    [0, 16 * page],
    [page, page],
    [page - 1, 2],
    [5000, 30_000],
    [100 * page - 10, 10],
  ].entries() as IterableIterator<[number, [number, number]]>) {
    const before = Buffer.from(expected.subarray(0, 100 * page));
    const reader = await unread(t, running, 0, 16 * page - 1);
    const atEnd = await unread(t, running, 90 * page, 100 * page - 1);
    const body = seededBytes(length, 20 + turn);
    assert.equal((await send(t, running, overwriting(path, first, body, 0))).status, 204, `${first}, ${length}`);
    body.copy(expected, first);
    assert.ok(fileIn(running, 'file.bin').equals(expected));
    assert.ok((await reader.response()).body.equals(before.subarray(0, 16 * page)), 'the reader has what was there');
    assert.ok((await atEnd.response()).body.equals(before.subarray(90 * page)), 'and so has the other');
    for (const client of [reader, atEnd]) client.destroy();
  }
}

const direct: Readonly<Record<string, Mount>> = {
  ext4: ['ext4'],
  'ext4 with blocks of 1 KiB': ['ext4', { make: ['-b', '1024'] }],
  xfs: ['xfs'],
};
for (const [at, [name, mount]] of Object.entries(direct).entries()) {
  for (const engine of inTurn(copyFreeEngines, at)) {
    test(`an overwrite waits for no reader, who gets the old bytes, on ${name} by ${engine}`, async (t) => {
      const running = await start(t, mount, { engine });
      if (running) await waitsForNobody(t, running);
    });
  }
}

test('an overwrite of blocks that two files share waits for no reader, and leaves the other file as it is', async (t) => {
  const running = await start(t, ['xfs']);
  if (!running) return;
  execFileSync('cp', ['--reflink=always', join(running.dir, 'file.bin'), join(running.dir, 'other.bin')]);
  await waitsForNobody(t, running);
  assert.ok(fileIn(running, 'other.bin').equals(old));
});

for (const type of ['ext4', 'xfs'] as const) {
  test(`it waits for readers of a last page that is not whole, on ${type}`, async (t) => {
    const running = await start(t, [type]);
    if (running) await waitsForReader(t, running, 99 * page, seededBytes(page + 123, 30));
  });
}

for (const type of ['ext4', 'xfs'] as const) {
  test(`it waits for no reader of a hole, who gets zeros, on ${type}`, async (t) => {
    const running = await start(t, [type]);
    if (!running) return;
    truncateSync(join(running.dir, 'file.bin'), 0);
    truncateSync(join(running.dir, 'file.bin'), size);
    await waitsForNobody(t, running, Buffer.alloc(size));
  });
}

test('it waits for readers of the page that a region ends in now, though its file is longer and not cut yet', async (t) => {
  const running = await start(t, ['ext4']);
  if (!running) return;
  const reader = await unread(t, running, page, 4 * page - 1);
  const fields = { 'content-type': 'application/merge-patch+json' };
  const body = Buffer.from(JSON.stringify({ size: page + 100 }));
  assert.equal((await send(t, running, { method: 'PATCH', path, fields, body })).status, 204);
  assert.equal(fileIn(running, 'file.bin').length, size, 'the reader keeps it from being cut');
  const late = await send(t, running, overwriting(path, page, seededBytes(100, 40), 0));
  assert.deepEqual(refusalIn(late), [409, 'range-busy']);
  assert.ok((await reader.response()).body.equals(old.subarray(page, 4 * page)));
  reader.destroy();
});

const waiting: Readonly<Record<string, Mount>> = {
  'ext4 that writes data to its journal': ['ext4', { mount: 'data=journal' }],
  'ext4 without extents, where no room can be set aside for the witness': ['ext4', { make: ['-O', '^extent,^64bit'] }],
  'btrfs, which writes to the pages where it has checksums': ['btrfs'],
  'btrfs without checksums, which may have them for some files': ['btrfs', { mount: 'nodatasum' }],
};
for (const [name, mount] of Object.entries(waiting)) {
  test(`it waits for every reader on ${name}`, async (t) => {
    const running = await start(t, mount);
    if (!running) return;
    assert.equal(await meansIn(t, running), 'wait');
    await waitsForReader(t, running, page, seededBytes(2 * page, 30));
  });
}

function leasing(first: number, last: number, ttlSeconds = 60): Change {
  const body = Buffer.from(JSON.stringify({ region: 'file.bin', first, last, ttlSeconds }));
  return { method: 'POST', path: '/leases', fields: { 'content-type': 'application/json' }, body };
}

async function lease(t: TestContext, running: Writable, first: number, last: number, ttlSeconds?: number) {
  const { status, body } = await send(t, running, leasing(first, last, ttlSeconds));
  assert.equal(status, 201);
  return (JSON.parse(body.toString()) as { id: string }).id;
}

test('it waits for readers while a process has a lease on other pages of the file, and no longer than that', async (t) => {
  const running = await start(t, ['ext4']);
  if (!running) return;
  const ids = [await lease(t, running, 50 * page, 51 * page - 1), await lease(t, running, 60 * page, 61 * page - 1)];
  for (const id of ids) {
    await waitsForReader(t, running, page, seededBytes(2 * page, 30));
    assert.equal((await send(t, running, { method: 'DELETE', path: `/leases/${id}` })).status, 204);
  }
  await put(t, running, 'file.bin', old);
  await waitsForNobody(t, running);
});

test('nor does it wait when a lease has ended by its time', async (t) => {
  const running = await start(t, ['ext4']);
  if (!running) return;
  await lease(t, running, 50 * page, 51 * page - 1, 1);
  await until(() => running.service.writer?.leases.list().length === 0, 'it has ended');
  await waitsForNobody(t, running);
});

test('what was overwritten many times over is sent by each reader as it was for it', async (t) => {
  const running = await start(t, ['ext4']);
  if (!running) return;
  const readers = [];
  for (let version = 0; version < 10; version++) {
    const content = Buffer.alloc(16 * page, 65 + version);
    assert.equal((await send(t, running, overwriting(path, 0, content, 0))).status, 204);
    readers.push({ content, reader: await unread(t, running, 0, content.length - 1) });
  }
  for (const { content, reader } of readers) {
    assert.ok((await reader.response()).body.equals(content));
    reader.destroy();
  }
});

const { EIO, ENOSPC } = constants.errno;
for (const [call, errno, status] of [
  ['pwrite', ENOSPC, 507],
  ['pwrite', EIO, 500],
  ['fsync', EIO, 500],
] as const) {
  test(`where ${call} fails (${errno}) neither the file has changed nor what a reader has in flight`, async (t) => {
    const running = await start(t, ['ext4']);
    if (!running) return;
    const first = await send(t, running, overwriting(path, 0, old.subarray(0, 1), 0));
    assert.equal(first.status, 204, 'what is written down once in a run is there');
    let failed = 0;
    for (;;) {
      const reader = await unread(t, running, 0, 16 * page - 1);
      setFault(call, errno, failed, 1);
      const answer = await send(t, running, overwriting(path, 100, seededBytes(10 * page, 50), 0));
      setFault(call, 0, 0, 0);
      assert.ok((await reader.response()).body.equals(old.subarray(0, 16 * page)));
      reader.destroy();
      if (answer.status === 204) break;
      failed++;
      assert.equal(answer.status, status);
      assert.ok(fileIn(running, 'file.bin').equals(old));
    }
    assert.ok(failed > 0, 'a call was there to fail');
    assert.ok(!fileIn(running, 'file.bin').equals(old), 'in the end it is done');
  });
}
