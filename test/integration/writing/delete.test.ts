/** DELETE: regions that are removed. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RawClient } from '../../support/raw.ts';
import { makeFolder, writeRegion } from '../../support/regions.ts';
import { ask, change } from '../../support/requests.ts';
import { externalChangesIn, kept, put, read, refusalIn, send, startWritable } from '../../support/writable.ts';

const path = '/regions/file.bin';

test('a region that is removed is gone at once, and can be made again', async (t) => {
  const running = await startWritable(t, 'ext4');
  const client = await RawClient.connect(t, running.port);
  const tags = new Set<string>();
  for (let turn = 0; turn < 3; turn++) {
    const made = await change(client, { method: 'PUT', path, body: Buffer.from('abc') });
    assert.equal(made.status, 201);
    tags.add(made.fields.get('etag') ?? '');
    // Pipelined: in the order in which they came.
    for (const method of ['GET', 'DELETE', 'GET', 'DELETE']) ask(client, { method, path });
    const statuses: number[] = [];
    for (let at = 0; at < 4; at++) statuses.push((await client.response()).status);
    assert.deepEqual(statuses, [200, 204, 404, 404]);
    assert.ok(!existsSync(join(running.dir, 'file.bin')));
    const list = await change(client, { method: 'GET', path: '/regions' });
    assert.deepEqual(JSON.parse(list.body.toString()), { regions: [] });
  }
  assert.equal(tags.size, 3);
  assert.equal(externalChangesIn(running), 0, 'none of it was done by others');
  assert.equal(running.service.writer?.store.quota.used, 0);
  assert.deepEqual(readdirSync(join(running.dir, '.pagerelay', 'regions')), [], 'nothing is remembered of it');
});

test('what is not there can not be removed', async (t) => {
  const running = await startWritable(t);
  await put(t, running, 'a/b', Buffer.from('x'));
  for (const name of ['none', 'a', 'a/none', 'a/b/c']) {
    const answer = await send(t, running, { method: 'DELETE', path: `/regions/${name}` });
    assert.deepEqual(refusalIn(answer), [404, 'region-not-found'], name);
  }
  for (const name of ['.pagerelay/lock', '..', '.pagerelay']) {
    const answer = await send(t, running, { method: 'DELETE', path: `/regions/${name}` });
    assert.deepEqual(refusalIn(answer), [400, 'bad-name'], name);
  }
  assert.equal((await read(t, running, 'a/b')).status, 200);
});

test('a file that is served by itself is not removed', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 100);
  const running = await startWritable(t, 'tmpfs', { regions: [file] });
  assert.deepEqual(refusalIn(await send(t, running, { method: 'DELETE', path })), [405, 'method-not-allowed']);
  assert.ok(existsSync(file.path));
});

test('If-Match is what must be there', async (t) => {
  const running = await startWritable(t);
  const remove = (tag: string) => send(t, running, { method: 'DELETE', path, fields: { 'if-match': tag } });
  assert.equal((await remove('*')).status, 412, 'nothing is');
  const first = await put(t, running, 'file.bin', Buffer.from('first'));
  const second = await put(t, running, 'file.bin', Buffer.from('second'));
  const stale = await remove(first);
  assert.deepEqual(refusalIn(stale), [412, 'precondition-failed']);
  assert.equal(stale.fields.get('etag'), second);
  assert.equal((await remove(second)).status, 204);
});

test('folders that are left empty go, and no others', async (t) => {
  const running = await startWritable(t, 'ext4');
  for (const name of ['a/b/c/d', 'a/b/e', 'f/g']) await put(t, running, name, Buffer.from('x'));
  writeFileSync(join(running.dir, 'f', '.hidden'), 'not a region');
  const remove = (name: string) => send(t, running, { method: 'DELETE', path: `/regions/${name}` });
  assert.equal((await remove('a/b/c/d')).status, 204);
  assert.deepEqual(readdirSync(join(running.dir, 'a/b')), ['e']);
  assert.equal((await remove('a/b/e')).status, 204);
  assert.equal((await remove('f/g')).status, 204);
  assert.deepEqual(readdirSync(running.dir).sort(), ['.pagerelay', 'f']);
});

test('regions of one folder that come and go at once do not lose each other', async (t) => {
  const running = await startWritable(t);
  const work = Array.from({ length: 6 }, async (_, at) => {
    const client = await RawClient.connect(t, running.port);
    for (let turn = 0; turn < 25; turn++) {
      const request = { path: `/regions/shared/folder/${at}`, body: Buffer.from(`${at} ${turn}`) };
      assert.equal((await change(client, { method: 'PUT', ...request })).status, 201);
      const got = await change(client, { method: 'GET', path: request.path });
      assert.deepEqual([got.status, got.body.toString()], [200, `${at} ${turn}`]);
      assert.equal((await change(client, { method: 'DELETE', path: request.path })).status, 204);
    }
    client.destroy();
  });
  await Promise.all(work);
  assert.deepEqual(readdirSync(running.dir), ['.pagerelay']);
  assert.deepEqual(kept(running, 'tmp'), []);
});
