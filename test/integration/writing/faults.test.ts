/** Changes in which a system call fails: an error is answered, the old content is there, and the next change works. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { until } from '../../support/poll.ts';
import { type Place, seededBytes, sha256 } from '../../support/regions.ts';
import { type Change, overwriting } from '../../support/requests.ts';
import { setFault } from '../../support/testing-shim.ts';
import { warmProcess } from '../../support/warm-process.ts';
import { fileIn, kept, put, read, refusalIn, send, startWritable, type Writable } from '../../support/writable.ts';

const { EIO, EMFILE, ENOMEM, ENOSPC } = constants.errno;
const path = '/regions/file.bin';
const old = seededBytes(50_000, 1);
const next = seededBytes(60_000, 2);
const places: readonly Place[] = ['tmpfs', 'ext4'];

type Fault = { readonly call: string; readonly errno: number; readonly status: readonly number[] };

const faults: readonly Fault[] = [
  { call: 'fsync', errno: EIO, status: [500] },
  { call: 'fsync', errno: ENOSPC, status: [507] },
  { call: 'pwrite', errno: ENOSPC, status: [507] },
  { call: 'pwrite', errno: EIO, status: [500] },
  { call: 'pread', errno: EIO, status: [500] },
  { call: 'fallocate', errno: ENOSPC, status: [507] },
  { call: 'open', errno: EMFILE, status: [503] },
  { call: 'allocate', errno: ENOMEM, status: [500, 503] },
  { call: 'fstat', errno: EIO, status: [500] },
];

before(warmProcess);

async function sendUnder(t: TestContext, running: Writable, fault: Fault, skip: number, count: number, asked: Change) {
  setFault(fault.call, fault.errno, skip, count);
  try {
    return await send(t, running, asked);
  } finally {
    setFault(fault.call, 0, 0, 0);
  }
}

const mostPositions = 40;

/**
 * Has each call of this kind fail that a change makes, one after the other, until none is hit any more.
 *
 * @returns how many there were
 */
async function failEach(
  t: TestContext,
  running: Writable,
  fault: Fault,
  asked: Change,
  check: (skip: number) => unknown,
  times = 1,
): Promise<number> {
  for (let skip = 0; skip < mostPositions; skip++) {
    const answer = await sendUnder(t, running, fault, skip, times, asked);
    if (answer.status < 300) return skip;
    assert.ok(fault.status.includes(answer.status), `${fault.call} ${skip}: ${answer.body}`);
    refusalIn(answer);
    await check(skip);
  }
  return assert.fail(`${fault.call} is called more than ${mostPositions} times`);
}

async function checkOld(t: TestContext, running: Writable, etag?: string): Promise<void> {
  const found = await read(t, running, 'file.bin');
  assert.deepEqual([found.status, found.sha256], [200, sha256(old)]);
  if (etag !== undefined) assert.equal(found.etag, etag);
  assert.ok(fileIn(running, 'file.bin').equals(old));
  assert.deepEqual(kept(running, 'tmp'), []);
}

const putting: Change = { method: 'PUT', path, body: next };

for (const fault of faults.filter(({ call }) => !['pread', 'fallocate'].includes(call))) {
  const { call, errno, status } = fault;
  test(`PUT in which ${call} fails (${errno}) is ${status.join(' or ')}, and nothing has changed`, async (t) => {
    for (const place of places) {
      const running = await startWritable(t, place, { express: false });
      const none = async (skip: number) => {
        assert.equal((await read(t, running, 'file.bin')).status, 404, `${place} ${call} ${skip}`);
        assert.ok(!existsSync(join(running.dir, 'file.bin')));
        assert.deepEqual(kept(running, 'tmp'), []);
      };
      await failEach(t, running, fault, putting, none);
      const etag = await put(t, running, 'file.bin', old);
      await failEach(t, running, fault, putting, () => checkOld(t, running, etag));
      assert.equal((await read(t, running, 'file.bin')).sha256, sha256(next), 'in the end it is done');
      await until(() => kept(running, 'old').length === 0, 'nothing old is kept');
      assert.equal(running.service.writer?.store.quota.used, next.length);
      await running.close();
    }
  });
}

test('PUT makes the upload, what is known of it, and the folder durable', async (t) => {
  const running = await startWritable(t, 'ext4', { express: false });
  const deep = { ...putting, path: '/regions/some/where' };
  const fault = { call: 'fsync', errno: EIO, status: [500] };
  // The upload, its sidecar, the folder of that; two folders, of which one is new.
  assert.ok((await failEach(t, running, fault, deep, () => {})) >= 5);
});

test('DELETE that can not be made durable is 500, and the region is there', async (t) => {
  for (const place of places) {
    const running = await startWritable(t, place, { express: false });
    const etag = await put(t, running, 'file.bin', old);
    const fault = { call: 'fsync', errno: EIO, status: [500] };
    const asked = { method: 'DELETE', path };
    // Of the sidecar, of its folder, and of the region's.
    assert.equal(await failEach(t, running, fault, asked, () => checkOld(t, running, etag)), 3);
    assert.equal((await read(t, running, 'file.bin')).status, 404);
    await until(() => kept(running, 'old').length === 0, 'nothing old is kept');
  }
});

/** With pages that it has alone, and others that it shares with bytes that stay. */
const part = overwriting(path, 3000, seededBytes(30_000, 3), 5);

for (const fault of faults) {
  const { call, errno, status } = fault;
  test(`an overwrite in which ${call} fails (${errno}) is ${status.join(' or ')}, and the old bytes are there`, async (t) => {
    for (const place of places) {
      const running = await startWritable(t, place, { express: false });
      await put(t, running, 'file.bin', old);
      const tags = new Set<string>();
      // Once before the epoch is opened, once after.
      for (let turn = 0; turn < 2; turn++) {
        await failEach(t, running, fault, part, () => checkOld(t, running));
        const changed = await read(t, running, 'file.bin');
        assert.ok(!tags.has(changed.etag));
        tags.add(changed.etag);
        assert.ok(
          fileIn(running, 'file.bin')
            .subarray(3000, 33_000)
            .equals(part.body ?? assert.fail()),
        );
        assert.equal((await send(t, running, overwriting(path, 0, old, 5))).status, 204);
        await checkOld(t, running);
      }
      assert.equal(running.service.relay.counters().leases, 0, 'no lease is left');
      await running.close();
    }
  });
}

test('an overwrite is undone also when that fails a few times', async (t) => {
  for (const place of places) {
    const running = await startWritable(t, place, { express: false });
    await put(t, running, 'file.bin', old);
    for (const fault of faults.filter(({ call }) => call === 'pwrite' || call === 'fsync')) {
      const found = await failEach(t, running, fault, part, () => checkOld(t, running), 3);
      assert.ok(found > 0);
      assert.equal((await send(t, running, overwriting(path, 0, old, 5))).status, 204);
    }
    await running.close();
  }
});
