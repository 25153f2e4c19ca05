/** Files of regions that somebody else truncates, appends to, writes into, replaces or removes. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../support/poll.ts';
import { overwrite, type Place, seededBytes, sha256, writeRegion } from '../../support/regions.ts';
import { overwriting } from '../../support/requests.ts';
import { externalChangesIn, put, read, refusalIn, send, startWritable, type Writable } from '../../support/writable.ts';

const size = 100_000;
const path = '/regions/file.bin';
const places: readonly Place[] = ['tmpfs', 'ext4'];

/** Milliseconds. Before Linux 6.13 a file's time moves with the clock's tick, at least 100 times a second. */
const tick = 10;

type Kind = 'changed' | 'replaced' | 'removed';

/** What somebody does to a file, and what it is counted as. */
const deeds: Readonly<Record<string, readonly [Kind, (file: string, folder: string) => void]>> = {
  truncates: ['changed', (file) => truncateSync(file, 5000)],
  'appends to': ['changed', (file) => appendFileSync(file, 'more')],
  'writes into': ['changed', (file) => overwrite(file, 5000, Buffer.from('other bytes'))],
  'replaces by a rename': [
    'replaced',
    (file, folder) => {
      writeFileSync(join(folder, '.new'), seededBytes(size, 9));
      renameSync(join(folder, '.new'), file);
    },
  ],
  removes: ['removed', (file) => rmSync(file)],
};

async function changesTold(t: TestContext, running: Writable): Promise<Partial<Record<Kind, number>>> {
  const { body } = await send(t, running, { method: 'GET', path: '/metrics' });
  const lines = body.toString().matchAll(/^pagerelay_external_changes_total\{kind="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, kind, count]) => [kind, Number(count)]));
}

for (const [deed, [kind, act]] of Object.entries(deeds)) {
  for (const place of places) {
    test(`who ${deed} a file on ${place} is noticed by Node at the next request`, async (t) => {
      const running = await startWritable(t, place, { express: false });
      const file = join(running.dir, 'file.bin');
      const shown = [await put(t, running, 'file.bin', seededBytes(size, 1))];
      const check = async () => {
        const found = await read(t, running, 'file.bin');
        if (kind === 'removed') return assert.equal(found.status, 404);
        assert.equal(found.sha256, sha256(readFileSync(file)));
        assert.ok(!shown.includes(found.etag), 'by another entity-tag');
        return shown.push(found.etag);
      };
      await read(t, running, 'file.bin');
      act(file, running.dir);
      await check();

      // The same to a region that was changed in place before.
      if (kind === 'removed') shown.push(await put(t, running, 'file.bin', seededBytes(size, 1)));
      const changed = await send(t, running, overwriting(path, 10, Buffer.from('x'), 5));
      shown.push(changed.fields.get('etag') ?? '');
      await delay(tick);
      act(file, running.dir);
      await check();
      if (kind === 'removed') return;
      const again = await send(t, running, overwriting(path, 10, Buffer.from('x'), 5));
      assert.equal(again.status, 204);
      assert.ok(!shown.includes(again.fields.get('etag') ?? ''), 'and is never called as before');
    });

    test(`who ${deed} a file on ${place} is noticed without any request`, async (t) => {
      const running = await startWritable(t, place);
      await put(t, running, 'file.bin', seededBytes(size, 1));
      await read(t, running, 'file.bin');
      assert.equal(externalChangesIn(running), 0);
      act(join(running.dir, 'file.bin'), running.dir);
      await until(() => externalChangesIn(running) > 0, 'it is counted');
      const counts = await changesTold(t, running);
      assert.ok((counts[kind] ?? 0) > 0, JSON.stringify(counts));
    });
  }
}

test('If-Match of what somebody else has changed is 412', async (t) => {
  const running = await startWritable(t);
  const etag = await put(t, running, 'file.bin', seededBytes(size, 1));
  overwrite(join(running.dir, 'file.bin'), 0, Buffer.from('x'));
  for (const method of ['PUT', 'DELETE']) {
    const body = method === 'PUT' ? { body: Buffer.from('new') } : {};
    const answer = await send(t, running, { method, path, fields: { 'if-match': etag }, ...body });
    assert.deepEqual(refusalIn(answer), [412, 'precondition-failed']);
  }
});

test('a file of the same size and time, and another inode, is another one', async (t) => {
  const running = await startWritable(t);
  const first = await put(t, running, 'file.bin', Buffer.from('abcde'));
  writeFileSync(join(running.dir, '.other'), 'fghij');
  rmSync(join(running.dir, 'file.bin'));
  linkSync(join(running.dir, '.other'), join(running.dir, 'file.bin'));
  const found = await read(t, running, 'file.bin');
  assert.equal(found.sha256, sha256(Buffer.from('fghij')));
  assert.notEqual(found.etag, first);
});

test('a file that becomes a link out of the tree is not served any more', async (t) => {
  const running = await startWritable(t);
  await put(t, running, 'file.bin', Buffer.from('abcde'));
  rmSync(join(running.dir, 'file.bin'));
  symlinkSync('/etc/hostname', join(running.dir, 'file.bin'));
  assert.equal((await read(t, running, 'file.bin')).status, 404);
});

for (const place of places) {
  test(`a store under a lease is no change by others, though the region was opened anew meanwhile, on ${place}`, async (t) => {
    const running = await startWritable(t, place);
    const { path: file } = writeRegion(running.dir, 'file.bin', size, 1);
    const json = { 'content-type': 'application/json' };
    const asked = Buffer.from(JSON.stringify({ region: 'file.bin', first: 0, last: 9, ttlSeconds: 60 }));
    const lease = await send(t, running, { method: 'POST', path: '/leases', fields: json, body: asked });
    assert.equal(lease.status, 201);
    const fields = { 'content-type': 'application/merge-patch+json' };
    const body = Buffer.from(JSON.stringify({ size: size - 50_000 }));
    assert.equal((await send(t, running, { method: 'PATCH', path, fields, body })).status, 204);
    await until(() => statSync(file).size === size - 50_000, 'the file is cut');
    await send(t, running, { method: 'GET', path, fields: { range: 'bytes=20000-20009' } });
    const { mtimeNs } = statSync(file, { bigint: true });
    const store = () => overwrite(file, 0, Buffer.from('from a process that has a lease'));
    const hasMoved = () => statSync(file, { bigint: true }).mtimeNs !== mtimeNs;
    await until(() => [store(), hasMoved()][1] === true, 'the time of the file has moved');
    const released = await send(t, running, { method: 'DELETE', path: lease.fields.get('location') ?? '' });
    assert.equal(released.status, 204);
    await read(t, running, 'file.bin');
    assert.equal(externalChangesIn(running), 0, JSON.stringify(running.service.catalog.externalChanges));
  });

  test(`what the service does itself is not taken for others' doing, on ${place}`, async (t) => {
    const running = await startWritable(t, place);
    writeRegion(running.dir, 'file.bin', size, 1);
    const sendOk = async (request: Parameters<typeof send>[2]) => {
      const answer = await send(t, running, request);
      assert.ok(answer.status < 300, `${request.method}: ${answer.status} ${answer.body}`);
      return answer;
    };
    const resize = (to: number) => ({
      method: 'PATCH',
      path,
      fields: { 'content-type': 'application/merge-patch+json' },
      body: Buffer.from(JSON.stringify({ size: to })),
    });
    for (let round = 0; round < 5; round++) {
      await read(t, running, 'file.bin');
      await sendOk(overwriting(path, 500, seededBytes(10_000, round), 5));
      await sendOk(resize(size + 5000));
      await sendOk(resize(size));
      const body = Buffer.from(JSON.stringify({ region: 'file.bin', first: 0, last: 9, ttlSeconds: 60 }));
      const made = await sendOk({
        method: 'POST',
        path: '/leases',
        fields: { 'content-type': 'application/json' },
        body,
      });
      overwrite(join(running.dir, 'file.bin'), 0, Buffer.from(`round ${round}`));
      await sendOk({ method: 'DELETE', path: made.fields.get('location') ?? '' });
      await sendOk({ method: 'PUT', path, body: seededBytes(size, round) });
      await read(t, running, 'file.bin');
    }
    // What inotify has to say comes in its own time; so does what looks without it, once a second.
    const { generation } = running.service.catalog.find('file.bin').content;
    const before = performance.now();
    await until(() => performance.now() - before > 1200, 'the sweep has been there');
    assert.equal(running.service.catalog.find('file.bin').content.generation.id, generation.id);
    assert.equal(externalChangesIn(running), 0, JSON.stringify(running.service.catalog.externalChanges));
  });
}
