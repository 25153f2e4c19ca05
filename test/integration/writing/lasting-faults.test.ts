/** System calls that go on failing, and a file system that really is full. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../../support/poll.ts';
import { RawClient } from '../../support/raw.ts';
import { type Place, seededBytes, sha256 } from '../../support/regions.ts';
import { ask, askForRange, type Change, change, overwriting } from '../../support/requests.ts';
import { mountTmpfs } from '../../support/small-tmpfs.ts';
import { setFault } from '../../support/testing-shim.ts';
import {
  externalChangesIn,
  fileIn,
  kept,
  makeTree,
  put,
  read,
  refusalIn,
  send,
  startWritable,
} from '../../support/writable.ts';

const { EIO, ENOSPC } = constants.errno;
const mebibyte = 1 << 20;
const path = '/regions/file.bin';
const size = 200_000;
const old = seededBytes(size, 1);

async function whileFailing<Result>(call: string, errno: number, skip: number, act: () => Promise<Result>) {
  setFault(call, errno, skip, 1e9);
  try {
    return await act();
  } finally {
    setFault(call, 0, 0, 0);
  }
}

function resizing(size: number): Change {
  const fields = { 'content-type': 'application/merge-patch+json' };
  return { method: 'PATCH', path, fields, body: Buffer.from(JSON.stringify({ size })) };
}

/** An overwrite that fails, and can't be undone. Gives what there is to see then, and at the next start. */
async function failForGood(t: TestContext, place: Place): Promise<() => Promise<void>> {
  const { dir, scope } = makeTree(t, place);
  const running = await startWritable(scope, place, { dir });
  const client = await RawClient.connect(t, running.port);
  const fields = { 'content-type': 'text/x-mine' };
  assert.equal((await change(client, { method: 'PUT', path, fields, body: old })).status, 201);
  assert.equal((await change(client, overwriting(path, 0, old.subarray(0, 10), 5))).status, 204);
  const shown = (await read(t, running, 'file.bin')).etag;
  const asked = overwriting(path, 50_000, seededBytes(10_000, 2), 5);
  // The note of the old bytes is written, the new ones are not, or can't be made durable.
  if (place === 'tmpfs') {
    const failed = await whileFailing('pwrite', ENOSPC, 1, () => change(client, asked));
    assert.deepEqual(refusalIn(failed), [507, 'no-space']);
  } else {
    const failed = await whileFailing('fsync', EIO, 0, () => change(client, asked));
    assert.equal(failed.status, 500);
  }
  return async () => {
    askForRange(client, path, '100000-100009');
    assert.ok((await client.response()).body.equals(old.subarray(100_000, 100_010)), 'other pages are served');
    const waiting = await RawClient.connect(t, running.port);
    askForRange(waiting, path, '50000-50009');
    const late = await waiting.response();
    assert.deepEqual([late.status, late.body.length], [503, 0], 'its own are kept from readers');
    const again = await change(client, overwriting(path, 50_000, Buffer.from('x'), 0));
    assert.deepEqual(refusalIn(again), [409, 'range-busy'], 'and from writers');
    const [note = assert.fail('the old bytes are kept')] = kept(running, 'tmp');
    const heading = readFileSync(join(dir, '.pagerelay/tmp', note))
      .subarray(0, 500)
      .toString('latin1');
    assert.match(heading, /^{"name":"file\.bin",.*"boot":null *}\n/, 'also when the machine is started again');
    for (const each of [client, waiting]) each.destroy();
    await running.close();

    const next = await startWritable(scope, place, { dir });
    const { fields: found, body } = await send(t, next, { method: 'GET', path });
    assert.ok(body.equals(old), 'a start puts them back');
    assert.notEqual(found.get('etag'), shown);
    assert.equal(found.get('content-type'), 'text/x-mine');
    assert.deepEqual(kept(next, 'tmp'), []);
    assert.equal((await send(t, next, asked)).status, 204);
    await next.close();
  };
}

test('bytes that are neither old nor new are kept from readers until a start undoes them', async (t) => {
  const checks = [await failForGood(t, 'tmpfs'), await failForGood(t, 'ext4')];
  await Promise.all(checks.map((check) => check()));
});

for (const place of ['tmpfs', 'ext4'] as const) {
  test(`growing that fails leaves the size, and what is behind it, on ${place}`, async (t) => {
    const running = await startWritable(t, place);
    await put(t, running, 'file.bin', old);
    for (const [call, errno, skips] of [
      ['pwrite', ENOSPC, [0]],
      ['fsync', EIO, [0, 1, 2, 3, 4]],
    ] as const) {
      for (const skip of skips) {
        const answer = await whileFailing(call, errno, skip, () => send(t, running, resizing(2 * size)));
        assert.equal(answer.status, errno === ENOSPC ? 507 : 500, `${call} ${skip}`);
        assert.equal((await read(t, running, 'file.bin')).sha256, sha256(old));
        await until(() => fileIn(running, 'file.bin').length === size, 'the file has no more bytes than that');
        assert.equal(running.service.writer?.store.quota.used, size);
      }
    }
    assert.equal((await send(t, running, resizing(2 * size))).status, 204);
    const grown = Buffer.concat([old, Buffer.alloc(size)]);
    assert.equal((await read(t, running, 'file.bin')).sha256, sha256(grown));
  });

  test(`a file that can not be cut is served by its new size all the same, on ${place}`, async (t) => {
    const { dir, scope } = makeTree(t, place);
    const running = await startWritable(scope, place, { dir });
    await put(t, running, 'file.bin', old);
    await whileFailing('ftruncate', EIO, 0, async () => {
      const client = await RawClient.connect(t, running.port);
      assert.equal((await change(client, resizing(1000))).status, 204);
      assert.equal((await read(t, running, 'file.bin')).sha256, sha256(old.subarray(0, 1000)));
      ask(client, { method: 'GET', path, fields: { range: 'bytes=1000-1000' } });
      assert.equal((await client.response()).status, 416);
      const grow = await change(client, resizing(2000));
      assert.equal(grow.status, 500, 'what is behind its end would have to be zeros');
      client.destroy();
    });
    assert.equal(fileIn(running, 'file.bin').length, size);
    await running.close();
    const next = await startWritable(scope, place, { dir });
    assert.equal((await read(t, next, 'file.bin')).sha256, sha256(old.subarray(0, 1000)));
    await until(() => statSync(join(dir, 'file.bin')).size === 1000, 'the next start cuts it');
    assert.equal((await send(t, next, resizing(2000))).status, 204);
    const zeros = Buffer.concat([old.subarray(0, 1000), Buffer.alloc(1000)]);
    assert.equal((await read(t, next, 'file.bin')).sha256, sha256(zeros));
  });
}

test('a region whose bytes can not be put back by a start is kept from all, until one can', async (t) => {
  for (const place of ['tmpfs', 'ext4'] as const) {
    const { dir, scope } = makeTree(t, place);
    const running = await startWritable(scope, place, { dir });
    for (const name of ['file.bin', 'other.bin']) await put(t, running, name, old);
    await running.close();
    const inode = statSync(join(dir, 'file.bin')).ino;
    const heading = `${JSON.stringify({ name: 'file.bin', inode, offset: 4096, length: 8192 })}\n`;
    const bytes = seededBytes(8192, 2);
    writeFileSync(join(dir, '.pagerelay/tmp/aaa.undo'), Buffer.concat([Buffer.from(heading), bytes]));

    const next = await whileFailing('pwrite', EIO, 0, () => startWritable(scope, place, { dir }));
    assert.equal((await read(t, next, 'other.bin')).sha256, sha256(old));
    assert.equal((await send(t, next, { method: 'GET', path })).status, 503);
    assert.equal((await send(t, next, overwriting(path, 0, Buffer.from('x'), 5))).status, 503);
    assert.deepEqual(kept(next, 'tmp'), ['aaa.undo']);
    await next.close();

    const last = await startWritable(scope, place, { dir });
    const expected = Buffer.from(old);
    bytes.copy(expected, 4096);
    assert.equal((await read(t, last, 'file.bin')).sha256, sha256(expected));
    assert.deepEqual(kept(last, 'tmp'), []);
    await last.close();
  }
});

/** A file system of its own, of 4 MiB; undefined where none can be mounted. */
function mountSmall(t: TestContext): { dir: string; scope: ReturnType<typeof makeTree>['scope'] } | undefined {
  const { dir, scope } = makeTree(t, 'ext4');
  if (!mountTmpfs(t, scope, dir, '4m')) return undefined;
  return { dir, scope };
}

test('on a full file system changes are 507, and the old content is there', async (t) => {
  const small = mountSmall(t);
  if (!small) return;
  const running = await startWritable(small.scope, 'tmpfs', { dir: small.dir });
  const first = seededBytes(mebibyte, 1);
  const etag = await put(t, running, 'file.bin', first);
  const checkFirst = async () => {
    const found = await read(t, running, 'file.bin');
    assert.deepEqual([found.sha256, found.etag], [sha256(first), etag]);
    assert.deepEqual(kept(running, 'tmp'), []);
  };
  for (const name of ['file.bin', 'other.bin']) {
    const large = { method: 'PUT', path: `/regions/${name}`, body: seededBytes(8 * mebibyte, 2) };
    assert.deepEqual(refusalIn(await send(t, running, large)), [507, 'no-space']);
    await checkFirst();
  }
  await put(t, running, 'filler', seededBytes(2 * mebibyte, 3));
  await put(t, running, 'filler-2', seededBytes(mebibyte - 100_000, 3));
  const part = overwriting(path, 1000, seededBytes(500_000, 4), 5);
  assert.deepEqual(refusalIn(await send(t, running, part)), [507, 'no-space']);
  const found = await read(t, running, 'file.bin');
  assert.equal(found.sha256, sha256(first), 'also when there is no room for undoing an overwrite');
  assert.deepEqual(kept(running, 'tmp'), []);
  const little = await send(t, running, { method: 'PUT', path: '/regions/small', body: Buffer.from('small') });
  assert.equal(little.status, 201, 'what fits is taken');
  assert.equal((await send(t, running, { method: 'DELETE', path: '/regions/filler' })).status, 204);
  assert.equal((await send(t, running, part)).status, 204, 'and so is the rest when there is room again');
});

/** Fills a file system to its last page. */
function fill(dir: string): void {
  for (const bytes of [1 << 16, 4096, 1]) {
    for (let count = 0; ; count++) {
      try {
        writeFileSync(join(dir, `filler-${bytes}-${count}`), Buffer.alloc(bytes));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
        break;
      }
    }
  }
}

test('on a full file system a region can be made shorter, and its readers keep what they had', async (t) => {
  const small = mountSmall(t);
  if (!small) return;
  const running = await startWritable(small.scope, 'tmpfs', { dir: small.dir });
  const contents = { 'made.bin': seededBytes(size, 1), 'changed.bin': seededBytes(size, 2), 'others.bin': old };
  for (const name of ['made.bin', 'changed.bin'] as const) {
    const fields = { 'content-type': 'text/x-mine' };
    const request = { method: 'PUT', path: `/regions/${name}`, fields, body: contents[name] };
    assert.equal((await send(t, running, request)).status, 201);
  }
  writeFileSync(join(small.dir, 'others.bin'), old);
  const change = overwriting('/regions/changed.bin', 0, contents['changed.bin'].subarray(0, 10), 5);
  assert.equal((await send(t, running, change)).status, 204, 'its epoch is open');
  fill(small.dir);
  for (const [name, content] of Object.entries(contents)) {
    const path = `/regions/${name}`;
    const reader = await RawClient.connect(t, running.port);
    askForRange(reader, path, `${size - 50_000}-`);
    await reader.head();
    const before = await read(t, running, name);
    const to = 5000;
    const waiting = send(t, running, { ...resizing(to), path });
    const last = await reader.take(50_000);
    assert.ok(last.equals(content.subarray(size - 50_000)), 'a reader of what is cut off has all of it');
    reader.destroy();
    const cut = await waiting;
    assert.equal(cut.status, 204, `${name}: ${cut.body}`);
    const after = await read(t, running, name);
    assert.deepEqual([after.sha256, after.etag], [sha256(content.subarray(0, to)), cut.fields.get('etag')]);
    assert.notEqual(after.etag, before.etag);
    assert.equal(statSync(join(small.dir, name)).size, to);
    fill(small.dir);
  }
  assert.equal(externalChangesIn(running), 0, 'none of it was done by others');
  const head = await send(t, running, { method: 'GET', path: '/regions/made.bin' });
  assert.equal(head.fields.get('content-type'), 'text/x-mine');
  await running.close();
  const next = await startWritable(small.scope, 'tmpfs', { dir: small.dir });
  for (const [name, content] of Object.entries(contents)) {
    assert.equal((await read(t, next, name)).sha256, sha256(content.subarray(0, 5000)));
  }
});
