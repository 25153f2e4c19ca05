/** Files that are replaced, removed or made while the service runs. */
import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../src/relay/relay.ts';
import { everyEngine } from '../support/engines.ts';
import { referencesOf, untilReturned, warmUp } from '../support/holds.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, sha256, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';

const mebibyte = 1 << 20;
const size = 24 * mebibyte;

async function replacedInFlight(t: TestContext, engine: Engine): Promise<void> {
  const dir = makeFolder(t, 'tmpfs');
  const { path } = writeRegion(dir, 'file.bin', size, 101);
  const running = await startService(t, { engine, dir });
  const before = await warmUp(t, running, 'file.bin');

  const old = await RawClient.connect(t, running.port);
  old.get('/regions/file.bin');
  const oldHead = await old.head();
  await old.take(mebibyte);
  renameSync(writeRegion(dir, 'file.new', size, 102).path, path);

  const next = await RawClient.connect(t, running.port);
  next.get('/regions/file.bin', undefined, `If-Range: ${oldHead.fields.get('etag')}\r\n`);
  const { status, fields, body } = await next.response();
  assert.equal(status, 200);
  assert.notEqual(fields.get('etag'), oldHead.fields.get('etag'));
  assert.equal(sha256(body), sha256(seededBytes(size, 102)));
  next.get('/regions/file.bin', '0-9', `If-Match: ${oldHead.fields.get('etag')}\r\n`);
  assert.equal((await next.response()).status, 412);
  next.get('/regions/file.bin', undefined, `If-None-Match: ${fields.get('etag')}\r\n`);
  assert.equal((await next.response()).status, 304);
  next.destroy();

  if (engine !== 'stream') {
    const regions = (await referencesOf(running)).map(({ region }) => region);
    assert.ok(regions.length > 0 && regions.every((region) => region === 'file.bin'), regions.join());
  }
  const rest = await old.hash(size - mebibyte);
  assert.equal(rest, sha256(seededBytes(size, 101).subarray(mebibyte)), 'the reader in flight gets the old bytes');
  old.destroy();
  // Two were on their way at once: as many pipes wait for their next use.
  await untilReturned(running, { ...before, pipes: before.pipes + 2 });
}

test('a replaced file is new to the next reader and old to the one in flight', async (t) => {
  for (const engine of everyEngine) await t.test(`by ${engine}`, (t) => replacedInFlight(t, engine));
});

test('every replacement has an entity-tag of its own', async (t) => {
  const dir = makeFolder(t, 'ext4');
  const running = await startService(t, { dir });
  const client = await RawClient.connect(t, running.port);
  const tags = new Set<string>();
  for (let turn = 0; turn < 50; turn++) {
    const content = seededBytes(5000, turn);
    writeFileSync(join(dir, '.next'), content);
    renameSync(join(dir, '.next'), join(dir, 'file'));
    let tag = '';
    await until(async () => {
      client.get('/regions/file');
      const { fields, body } = await client.response();
      tag = fields.get('etag') ?? '';
      return body.equals(content); // A lane may not have looked yet.
    }, `replacement ${turn}`);
    client.get('/regions/file', undefined, `If-None-Match: ${tag}\r\n`);
    assert.equal((await client.response()).status, 304);
    tags.add(tag);
  }
  assert.ok(tags.size > 1);
});

test('a file that is removed is not found, and the reader in flight gets it whole', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const { path } = writeRegion(dir, 'file.bin', size, 103);
  const running = await startService(t, { dir, engine: 'sendfile' }); // It keeps no pipe for the next.
  const before = await warmUp(t, running, 'file.bin');
  const old = await RawClient.connect(t, running.port);
  old.get('/regions/file.bin');
  await old.head();
  rmSync(path);
  const next = await RawClient.connect(t, running.port);
  await until(async () => {
    next.get('/regions/file.bin');
    return (await next.response()).status === 404; // A lane may not have looked yet.
  }, 'it is not found');
  next.destroy();
  assert.equal(await old.hash(size), sha256(seededBytes(size, 103)));
  old.destroy();
  await untilReturned(running, before);
  writeFileSync(path, 'again');
  const again = await running.service.app.inject({ url: '/regions/file.bin' });
  assert.equal(again.body, 'again');
});
