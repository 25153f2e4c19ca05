/** Holes cost nothing: whatever is done with a region that has them, no memory is taken for one. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { loadShim } from '../../src/relay/shim.ts';
import { twoInTurn } from '../support/amount.ts';
import { everyEngine } from '../support/engines.ts';
import { addHugePages, hugePage, makeHugeFolder } from '../support/huge-pages.ts';
import { mountTmpfs } from '../support/mounts.ts';
import { until } from '../support/poll.ts';
import { makeFolder, seededBytes } from '../support/regions.ts';
import { startService } from '../support/service.ts';
import { suiteScope } from '../support/suite-scope.ts';

const mebibyte = 2 ** 20;
const engines = ['auto', ...everyEngine] as const;
const data = seededBytes(mebibyte, 31);

/** A hole, a mebibyte of data, and a hole. */
function makeSparse(path: string, size: number): { fd: number; size: number } {
  const fd = openSync(path, 'w+');
  ftruncateSync(fd, size);
  writeSync(fd, data, 0, data.length, size / 2);
  return { fd, size };
}

/** Reads all of it and gives nothing but whether each byte was right. */
function isRight(port: number, path: string, size: number, fields: Record<string, string> = {}): Promise<boolean> {
  const zeros = Buffer.alloc(mebibyte);
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, headers: fields, agent: false }, (response) => {
      let at = 0;
      let right = response.statusCode === 200;
      response.on('data', (chunk: Buffer) => {
        for (let from = 0; from < chunk.length; ) {
          const place = at + from - size / 2;
          const inData = place >= 0 && place < data.length;
          const left = place < 0 ? -place : inData ? data.length - place : mebibyte;
          const length = Math.min(left, mebibyte, chunk.length - from);
          const expected = inData ? data.subarray(place, place + length) : zeros.subarray(0, length);
          right &&= chunk.subarray(from, from + length).equals(expected);
          from += length;
        }
        at += chunk.length;
      });
      response.on('end', () => resolve(right && at === size));
      response.on('error', reject);
    });
    asked.on('error', reject).end();
  });
}

for (const engine of twoInTurn(engines, 0)) {
  test(`a region of holes far larger than its tmpfs takes no page of it, by ${engine}`, async (t) => {
    const mounted = mountTmpfs(t, 16 * mebibyte);
    if ('missing' in mounted) return t.skip(mounted.missing);
    const { folder } = mounted;
    const { fd, size } = makeSparse(join(folder, 'vm.img'), 32 * mebibyte);
    closeSync(fd);
    const { blocks } = statSync(join(folder, 'vm.img'));
    const { port, origin, service } = await startService(t, { dir: folder, engine });
    const { bfree } = statfsSync(folder);
    assert.ok(await isRight(port, '/regions/vm.img', size));
    const headers = { range: 'bytes=0-9', 'want-repr-digest': 'sha-256=1' };
    await until(
      async () => (await fetch(`${origin}/regions/vm.img`, { headers })).headers.has('repr-digest'),
      'its digest is known',
    );
    assert.equal((await fetch(`${origin}/regions`)).status, 200);
    await until(() => service.relay.references().items.length === 0, 'nothing is held');
    assert.equal(statSync(join(folder, 'vm.img')).blocks, blocks);
    assert.equal(statfsSync(folder).bfree, bfree);
  });
}

test('a region that was made longer is a hole there, and reading it takes nothing', async (t) => {
  const mounted = mountTmpfs(t, 16 * mebibyte);
  if ('missing' in mounted) return t.skip(mounted.missing);
  const { folder } = mounted;
  const { origin, port } = await startService(t, { dir: folder, writable: true });
  const put = await fetch(`${origin}/regions/grown`, { method: 'PUT', body: 'short' });
  assert.equal(put.status, 201);
  const headers = { 'content-type': 'application/merge-patch+json' };
  const body = JSON.stringify({ size: 32 * mebibyte });
  const grown = await fetch(`${origin}/regions/grown`, { method: 'PATCH', headers, body });
  assert.equal(grown.status, 204);
  const { blocks } = statSync(join(folder, 'grown'));
  assert.equal(await lengthOf(port, '/regions/grown'), 32 * mebibyte);
  assert.equal(statSync(join(folder, 'grown')).blocks, blocks);
});

function lengthOf(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
      });
      response.on('end', () => resolve(length)).on('error', reject);
    });
    asked.on('error', reject).end();
  });
}

function makeSparseMemfd(t: TestContext): { path: string; fd: number; size: number } {
  const loaded = loadShim();
  assert.ok('shim' in loaded, 'the shim is built');
  const fd = loaded.shim.createMemfd('sparse', 0);
  t.after(() => closeSync(fd));
  const size = 32 * mebibyte;
  ftruncateSync(fd, size);
  writeSync(fd, data, 0, data.length, size / 2);
  return { path: `/proc/self/fd/${fd}`, fd, size };
}

for (const engine of twoInTurn(engines, 1)) {
  test(`a sparse memfd stays sparse, by ${engine}`, async (t) => {
    const { path, size } = makeSparseMemfd(t);
    const { blocks } = statSync(path);
    const { port } = await startService(t, { regions: [{ name: 'sparse', path }], engine });
    assert.ok(await isRight(port, '/regions/sparse', size));
    assert.equal(statSync(path).blocks, blocks);
  });

  test(`a sparse file of a disk stays sparse, by ${engine}`, async (t) => {
    const folder = makeFolder(t, 'ext4');
    const { fd, size } = makeSparse(join(folder, 'sparse'), 32 * mebibyte);
    closeSync(fd);
    execFileSync('sync', [join(folder, 'sparse')]); // delayed allocation
    const { blocks } = statSync(join(folder, 'sparse'));
    const { port } = await startService(t, { dir: folder, engine });
    assert.ok(await isRight(port, '/regions/sparse', size));
    assert.equal(statSync(join(folder, 'sparse')).blocks, blocks);
  });
}

const pool = (name: string) =>
  Number(readFileSync(`/sys/kernel/mm/hugepages/hugepages-${hugePage / 1024}kB/${name}`, 'latin1'));

// One page of data, and some for the witness's experiments.
const scope = suiteScope();
let missing: string | undefined;
let huge = '';

before(() => {
  missing = addHugePages(scope, 4);
  if (missing) return;
  const made = makeHugeFolder(scope);
  if ('missing' in made) missing = made.missing;
  else huge = made.folder;
});

for (const engine of twoInTurn(engines, 3)) {
  test(`holes of huge pages take none, and set none aside, by ${engine}`, async (t) => {
    if (missing) return t.skip(missing);
    const path = join(huge, engine);
    t.after(() => rmSync(path));
    closeSync(openSync(path, 'w'));
    execFileSync('truncate', ['-s', String(4 * hugePage), path]);
    execFileSync('fallocate', ['-n', '-o', String(hugePage), '-l', String(hugePage), path]);
    const { blocks } = statSync(path);
    const { port } = await startService(t, { regions: [{ name: 'sparse', path }], engine });
    const before = [pool('free_hugepages'), pool('resv_hugepages')];
    assert.equal(await lengthOf(port, '/regions/sparse'), 4 * hugePage);
    assert.equal(statSync(path).blocks, blocks);
    assert.deepEqual([pool('free_hugepages'), pool('resv_hugepages')], before);
  });
}
