/** When an overwrite is answered, and what of it is on its medium then: `--durability`. */
import assert from 'node:assert/strict';
import { fstatSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { Durability } from '../../../src/relay/overwriting.ts';
import { seededBytes } from '../../support/regions.ts';
import { overwriting } from '../../support/requests.ts';
import { setFault } from '../../support/testing-shim.ts';
import { warmProcess } from '../../support/warm-process.ts';
import { fileIn, makeTree, put, read, send, startWritable, type Writable } from '../../support/writable.ts';

const { EIO } = constants.errno;
const path = '/regions/file.bin';
const page = 4096;
const writers = 8;
const old = seededBytes(writers * page, 1);
const flushing: readonly Durability[] = ['sync', 'group'];

before(warmProcess);

function part(at: number): Buffer {
  return seededBytes(page, 100 + at);
}

/** The inodes of files that are made durable from now on. */
function watchSyncs({ service }: Writable): number[] {
  const { files } = service.writer?.store.relay ?? assert.fail();
  const sync = files.sync.bind(files);
  const inodes: number[] = [];
  files.sync = (fd) => {
    inodes.push(fstatSync(fd).ino);
    return sync(fd);
  };
  return inodes;
}

for (const durability of flushing) {
  test(`with ${durability}, overwrites whose flush fails are refused and undone, and the others are there`, async (t) => {
    const running = await startWritable(t, 'ext4', { express: false, durability });
    await put(t, running, 'file.bin', old);
    assert.equal((await send(t, running, overwriting(path, 0, old.subarray(0, 1), 5))).status, 204);
    setFault('fsync', EIO, 0, 1);
    const all = Array.from({ length: writers }, (_, at) => send(t, running, overwriting(path, at * page, part(at), 5)));
    const statuses = (await Promise.all(all)).map(({ status }) => status);
    setFault('fsync', 0, 0, 0);
    assert.ok(statuses.includes(500), `${statuses}`);
    const expected = statuses.map((status, at) =>
      status === 204 ? part(at) : old.subarray(at * page, (at + 1) * page),
    );
    assert.ok(statuses.every((status) => status === 204 || status === 500));
    assert.ok(fileIn(running, 'file.bin').equals(Buffer.concat(expected)));
  });
}

test('with none an overwrite waits for no flush, and all else for its own', async (t) => {
  const running = await startWritable(t, 'ext4', { express: false, durability: 'none' });
  await put(t, running, 'file.bin', old);
  assert.equal((await send(t, running, overwriting(path, 0, old.subarray(0, 1), 5))).status, 204);
  setFault('fsync', EIO, 0, 1e9);
  t.after(() => setFault('fsync', 0, 0, 0));
  assert.equal((await send(t, running, overwriting(path, page, part(1), 5))).status, 204);
  assert.equal((await send(t, running, { method: 'PUT', path, body: old })).status, 500);
  assert.equal((await send(t, running, { method: 'DELETE', path })).status, 500);
  setFault('fsync', 0, 0, 0);
  assert.ok(
    fileIn(running, 'file.bin')
      .subarray(page, 2 * page)
      .equals(part(1)),
  );
});

for (const durability of [...flushing, 'none'] as const) {
  const when = durability === 'none' ? 'after the bytes that it stands for' : 'whose bytes are durable already';
  test(`with ${durability} a stop writes down the version, ${when}`, async (t) => {
    const { dir, scope } = makeTree(t, 'ext4');
    const running = await startWritable(scope, 'ext4', { dir, durability });
    await put(t, running, 'file.bin', old);
    assert.equal((await send(t, running, overwriting(path, page, part(1), 5))).status, 204);
    const { etag } = await read(t, running, 'file.bin');
    const { ino } = statSync(join(dir, 'file.bin'));
    const synced = watchSyncs(running);
    await running.close();
    assert.equal(synced.indexOf(ino), durability === 'none' ? 0 : -1);
    assert.ok(synced.length > 1, 'of the sidecar, and of its folder');
    const again = await startWritable(scope, 'ext4', { dir, durability });
    assert.equal((await read(t, again, 'file.bin')).etag, etag);
  });
}
