/** Restarts without a gap: leases and bodies that go on in the next process, and processes that die meanwhile. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync } from 'node:fs';
import { test } from 'node:test';
import { askForLease } from '../support/ask-for-lease.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, writeRegion } from '../support/regions.ts';
import { Restarts } from '../support/restarts.ts';

const mebibyte = 1 << 20;
const page = 4096;

test('a lease goes on in the next process, by its id', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'file', 64 * page, 5);
  const service = await Restarts.start(t, ['--dir', dir, '--writable']);
  const list = async () =>
    ((await (await fetch(`${service.origin}/leases`)).json()) as { leases: { id: string }[] }).leases;
  assert.equal(await askForLease(service.port, 1), 201);
  const before = await list();
  await service.restart();
  assert.deepEqual(await list(), before);
  assert.equal(await askForLease(service.port, 0), 409, 'it excludes others');
  const ended = await fetch(`${service.origin}/leases/${before[0]?.id}`, { method: 'DELETE' });
  assert.equal(ended.status, 204);
  assert.equal(await askForLease(service.port, 5), 201);
  assert.deepEqual(await service.end(), { code: 0, signal: null });
});

test('a body that is on its way to the process before becomes a region by the next one', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const service = await Restarts.start(t, ['--dir', dir, '--writable']);
  const client = await RawClient.connect(t, service.port);
  const body = seededBytes(mebibyte, 6);
  client.write(`PUT /regions/new HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`);
  client.socket.write(body.subarray(0, mebibyte / 2));
  await until(async () => (await fetch(`${service.origin}/healthz`)).ok, 'it answers others meanwhile');
  await service.restart();
  client.socket.write(body.subarray(mebibyte / 2));
  const { status, fields } = await client.response();
  assert.equal(status, 201, service.child.stdout());
  const read = await fetch(`${service.origin}/regions/new`);
  assert.ok(Buffer.from(await read.arrayBuffer()).equals(body));
  assert.equal(read.headers.get('etag'), fields.get('etag'));
  client.destroy();
  assert.deepEqual(await service.end(), { code: 0, signal: null });
});

test('a process goes on when the next one does not start, or is killed before it answers', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const { path } = writeRegion(makeFolder(t, 'tmpfs'), 'needed', page);
  writeRegion(dir, 'file', 64 * page, 5);
  const service = await Restarts.start(t, ['--dir', dir, '--writable', '--region', `needed=${path}`]);
  const client = await RawClient.connect(t, service.port);
  const failures = () => service.messages('no other process has taken the place').length;
  const isServed = async () => {
    client.get('/regions/file', '0-9');
    assert.equal((await client.response()).status, 206);
    const written = await fetch(`${service.origin}/regions/other`, { method: 'PUT', body: 'x' });
    assert.ok(written.ok, String(written.status));
  };
  renameSync(path, `${path}.aside`);
  process.kill(service.pid, 'SIGUSR2');
  await until(() => failures() === 1, 'it says that the next one has not started');
  renameSync(`${path}.aside`, path);
  await isServed();
  process.kill(service.pid, 'SIGUSR2');
  await until(() => service.messages('starting another process').length === 2, 'it starts the next one again');
  process.kill(service.pid, 'SIGUSR2');
  await until(
    () => service.messages('another process is taking the place').length === 1,
    'the second signal does nothing',
  );
  const child = await childOf(service.pid);
  process.kill(child, 'SIGKILL');
  await until(() => failures() === 2, 'it says that the next one was killed');
  await isServed();
  assert.equal(service.pids.length, 1);
  client.destroy();
  assert.deepEqual(await service.end(), { code: 0, signal: null });
});

async function childOf(pid: number): Promise<number> {
  const children = () => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  await until(() => children() !== '', 'there is a child');
  return Number(children().split(' ')[0]);
}

test('the next process starts as after a crash, on the same sockets, when the one before is killed meanwhile', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'file', 64 * page, 5);
  const service = await Restarts.start(t, ['--dir', dir, '--writable']);
  const first = service.pid;
  process.kill(first, 'SIGUSR2');
  const child = await childOf(first);
  t.after(() => process.kill(child, 'SIGKILL'));
  process.kill(first, 'SIGKILL');
  const isThere = () => service.child.stderr().split('pagerelay listens on').length === 3;
  await until(isThere, 'the next one listens', () => service.child.stderr());
  const written = await fetch(`${service.origin}/regions/file`, { method: 'PUT', body: 'x' });
  assert.equal(written.status, 204);
  process.kill(child, 'SIGTERM');
  await service.child.exited;
});
