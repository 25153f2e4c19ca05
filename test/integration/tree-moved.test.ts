/** The path of the tree leads to another one: a link is switched, a folder is replaced, a file system is mounted. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startApp } from '../support/app.ts';
import { countOpen } from '../support/descriptors.ts';
import { until } from '../support/poll.ts';
import { originOf, start } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { sha256, sha256OfFile, writeRegion } from '../support/regions.ts';
import { overwriting } from '../support/requests.ts';
import type { Scope } from '../support/scope.ts';
import { type Running, startService } from '../support/service.ts';
import { makeTree, put, refusalIn, send, startWritable, type Writable } from '../support/writable.ts';

const mebibyte = 1 << 20;

/** Two trees with a region each, and a link to the first: `current`. */
function makeVersions(scope: Scope): { parent: string; dir: string } {
  const { dir: parent } = makeTree(scope, 'tmpfs');
  for (const version of ['v1', 'v2']) {
    mkdirSync(join(parent, version));
    writeFileSync(join(parent, version, 'model'), `of ${version}`);
    writeFileSync(join(parent, version, `only-in-${version}`), '');
  }
  symlinkSync('v1', join(parent, 'current'));
  return { parent, dir: join(parent, 'current') };
}

function switchTo(parent: string, version: string): void {
  symlinkSync(version, join(parent, 'next'));
  renameSync(join(parent, 'next'), join(parent, 'current'));
}

type Asked = { readonly status: number; readonly text: string };

async function get(t: TestContext, running: Pick<Running, 'port'>, path: string): Promise<Asked> {
  const { status, body } = await send(t, running, { method: 'GET', path });
  return { status, text: body.toString() };
}

const untilReads = (t: TestContext, running: Pick<Running, 'port'>, text: string) =>
  until(async () => (await get(t, running, '/regions/model')).text === text, `the region is ${text}`);

async function namesIn(t: TestContext, running: Pick<Running, 'port'>): Promise<string[]> {
  const { text } = await get(t, running, '/regions');
  return (JSON.parse(text) as { regions: { name: string }[] }).regions.map(({ name }) => name);
}

async function portably<Result>(act: () => Promise<Result>): Promise<Result> {
  const before = process.env.PAGERELAY_PORTABLE;
  process.env.PAGERELAY_PORTABLE = '1';
  try {
    return await act();
  } finally {
    if (before === undefined) delete process.env.PAGERELAY_PORTABLE;
    else process.env.PAGERELAY_PORTABLE = before;
  }
}

const kinds = {
  native: (scope: Scope, dir: string) => startService(scope, { dir }),
  portable: (scope: Scope, dir: string) => portably(() => startService(scope, { dir })),
};

for (const [kind, open] of Object.entries(kinds)) {
  test(`${kind}: a service that only reads follows a link that is switched, its old target deleted`, async (t) => {
    const { parent, dir } = makeVersions(t);
    const running = await open(t, dir);
    const client = await RawClient.connect(t, running.port);
    const bodies = new Set<string>();
    const ask = async (): Promise<string> => {
      client.get('/regions/model'); // The same each time: a lane may answer by itself.
      const { status, body } = await client.response();
      bodies.add(`${status} ${body}`);
      return body.toString();
    };
    for (let time = 0; time < 5; time++) assert.equal(await ask(), 'of v1');
    switchTo(parent, 'v2');
    await until(async () => (await ask()) === 'of v2', 'a connection that was open reads of the new tree');
    rmSync(join(parent, 'v1'), { recursive: true });
    for (let time = 0; time < 5; time++) assert.equal(await ask(), 'of v2');
    assert.deepEqual([...bodies], ['200 of v1', '200 of v2']);
    assert.deepEqual(await namesIn(t, running), ['model', 'only-in-v2']);
    assert.equal((await get(t, running, '/regions/only-in-v1')).status, 404);
    assert.deepEqual(await get(t, running, '/readyz'), { status: 200, text: '{"status":"ready"}' });
  });

  test(`${kind}: a service that only reads follows a folder that is replaced by another one`, async (t) => {
    const { parent } = makeVersions(t);
    const running = await open(t, join(parent, 'v1'));
    assert.equal((await get(t, running, '/regions/model')).text, 'of v1');
    renameSync(join(parent, 'v1'), join(parent, 'before'));
    renameSync(join(parent, 'v2'), join(parent, 'v1'));
    await untilReads(t, running, 'of v2');
    assert.deepEqual(await namesIn(t, running), ['model', 'only-in-v2']);
  });
}

test('while its path leads nowhere a service is not ready, and then follows where it leads', async (t) => {
  const { parent, dir } = makeVersions(t);
  const running = await startService(t, { dir });
  rmSync(dir);
  const isReady = async () => (await get(t, running, '/readyz')).status === 200;
  await until(async () => !(await isReady()), 'it is not ready');
  assert.deepEqual(await get(t, running, '/readyz'), { status: 503, text: '{"status":"tree-moved"}' });
  assert.equal((await get(t, running, '/healthz')).status, 200);
  assert.equal((await get(t, running, '/regions/model')).text, 'of v1', 'it has that tree still');
  writeFileSync(dir, 'no folder');
  assert.equal(await isReady(), false);
  rmSync(dir);
  symlinkSync('v2', join(parent, 'current'));
  await until(isReady, 'it is ready again');
  assert.equal((await get(t, running, '/regions/model')).text, 'of v2');
});

test('an application follows a link that is switched', async (t) => {
  const { parent, dir } = makeVersions(t);
  const { app } = await startApp(t, { dir, routes: false }, (app) => {
    app.get('/mine', (_, reply) => reply.sendRegion('model'));
  });
  assert.equal((await app.inject('/mine')).body, 'of v1');
  switchTo(parent, 'v2');
  await until(async () => (await app.inject('/mine')).body === 'of v2', 'it sends of the new tree');
});

test('a response of the tree that was left goes on to its end, and holds its pages against writers', async (t) => {
  const { parent, dir } = makeVersions(t);
  const { path } = writeRegion(join(parent, 'v1'), 'large', 24 * mebibyte, 5);
  const hash = sha256OfFile(path, 0, 24 * mebibyte - 1);
  const writer = await startWritable(t, 'tmpfs', { dir: join(parent, 'v1') });
  const reader = await startService(t, { dir });
  const client = await RawClient.connect(t, reader.port);
  client.get('/regions/large');
  await client.head();
  switchTo(parent, 'v2');
  await untilReads(t, reader, 'of v2');
  const change = overwriting('/regions/large', 0, Buffer.from('changed'), 0);
  assert.deepEqual(refusalIn(await send(t, writer, change)), [503, 'other-writer']);
  assert.equal(await client.hash(24 * mebibyte), hash);
  client.destroy();
  const isChanged = async () => (await send(t, writer, change)).status === 204;
  await until(isChanged, 'the lock of the tree that was left is given back');
});

test('following costs nothing that stays', async (t) => {
  const { parent, dir } = makeVersions(t);
  const running = await startService(t, { dir });
  await untilReads(t, running, 'of v1');
  const before = countOpen();
  for (let time = 0; time < 10; time++) {
    for (const version of ['v2', 'v1']) {
      switchTo(parent, version);
      await untilReads(t, running, `of ${version}`);
    }
  }
  const isSame = () => countOpen().descriptors <= before.descriptors && countOpen().mappings <= before.mappings;
  await until(isSame, 'all that was left is closed', () => ({ was: before, is: countOpen() }));
});

const isRoot = process.getuid?.() === 0;

test('a service that only reads follows a file system that is mounted over its tree', async (t) => {
  const unshare = isRoot ? spawnSync('unshare', ['--mount', 'true']) : undefined;
  if (unshare?.status !== 0) return t.skip('SKIP: mounting needs root and CAP_SYS_ADMIN');
  const { parent } = makeVersions(t);
  const dir = join(parent, 'v1');
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
  const serve = [process.execPath, cli, 'serve', '--dir', dir, '--port', '0'];
  const child = start(t, 'unshare', ['--mount', '--propagation', 'private', ...serve]);
  const running = { port: Number(new URL(await originOf(child)).port) };
  await untilReads(t, running, 'of v1');
  const inside = ['--mount', '--target', `${child.process.pid}`];
  execFileSync('nsenter', [...inside, 'mount', '--bind', join(parent, 'v2'), dir]);
  await untilReads(t, running, 'of v2');
  assert.equal((await get(t, running, '/readyz')).status, 200);
});

const refused = [503, 'tree-moved'];

async function refusesToWrite(t: TestContext, running: Writable): Promise<void> {
  const json = { 'content-type': 'application/json' };
  const body = Buffer.from(JSON.stringify({ region: 'model', first: 0, last: 1, ttlSeconds: 9 }));
  const patch = { 'content-type': 'application/merge-patch+json' };
  for (const change of [
    { method: 'PUT', path: '/regions/new', body: Buffer.from('x') },
    { method: 'PUT', path: '/regions/model', body: Buffer.from('x') },
    overwriting('/regions/model', 0, Buffer.from('x'), 0),
    { method: 'PATCH', path: '/regions/model', body: Buffer.from('{"size":1}'), fields: patch },
    { method: 'DELETE', path: '/regions/model' },
    { method: 'POST', path: '/leases', body, fields: json },
  ]) {
    const answer = await send(t, running, change);
    assert.deepEqual(refusalIn(answer), refused, `${change.method} ${change.path}`);
    assert.ok(Number(answer.fields.get('retry-after')) > 0);
  }
}

test('a service that writes is bound to its tree: it changes nothing until its path leads there again', async (t) => {
  const { parent, dir } = makeVersions(t);
  const running = await startWritable(t, 'tmpfs', { dir });
  await put(t, running, 'mine', Buffer.from('mine'));
  const entries = () => ['v1', 'v2'].map((version) => readdirSync(join(parent, version), { recursive: true }).sort());
  const before = entries();
  switchTo(parent, 'v2');
  await refusesToWrite(t, running);
  assert.deepEqual(await get(t, running, '/readyz'), { status: 503, text: '{"status":"tree-moved"}' });
  assert.equal((await get(t, running, '/regions/model')).text, 'of v1', 'what is open is read all the same');
  assert.deepEqual(entries(), before);
  switchTo(parent, 'v1');
  await put(t, running, 'mine', Buffer.from('again'));
  assert.deepEqual(await get(t, running, '/readyz'), { status: 200, text: '{"status":"ready"}' });
  assert.equal((await get(t, running, '/regions/mine')).text, 'again');
});

test('an upload that is on its way when the path leads elsewhere is refused, and leaves nothing anywhere', async (t) => {
  const { parent, dir } = makeVersions(t);
  const running = await startWritable(t, 'tmpfs', { dir });
  const client = await RawClient.connect(t, running.port);
  client.write('PUT /regions/late HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf');
  const uploads = join(parent, 'v1', '.pagerelay', 'tmp');
  await until(() => readdirSync(uploads).length === 1, 'the upload has begun');
  switchTo(parent, 'v2');
  client.write('half');
  assert.deepEqual(refusalIn(await client.response()), refused);
  assert.deepEqual(readdirSync(uploads), []);
  assert.deepEqual(readdirSync(join(parent, 'v2')).sort(), ['model', 'only-in-v2']);
});

test('what a run has changed in place is written down in its own tree, wherever the path leads by then', async (t) => {
  const { parent, dir } = makeVersions(t);
  const running = await startWritable(t, 'tmpfs', { dir });
  assert.equal((await send(t, running, overwriting('/regions/model', 0, Buffer.from('OF'), 1))).status, 204);
  const { fields } = await send(t, running, { method: 'GET', path: '/regions/model' });
  switchTo(parent, 'v2');
  await running.close();
  assert.deepEqual(readdirSync(join(parent, 'v2')).sort(), ['model', 'only-in-v2']);
  const again = await startService(t, { dir: join(parent, 'v1') });
  const { fields: after, body } = await send(t, again, { method: 'GET', path: '/regions/model' });
  assert.deepEqual([after.get('etag'), sha256(body)], [fields.get('etag'), sha256(Buffer.from('OF v1'))]);
});

test('a service whose tree is deleted ends all the same, and makes nothing in its place', async (t) => {
  const { parent } = makeVersions(t);
  const dir = join(parent, 'v1');
  const running = await startWritable(t, 'tmpfs', { dir });
  assert.equal((await send(t, running, overwriting('/regions/model', 0, Buffer.from('OF'), 1))).status, 204);
  rmSync(dir, { recursive: true });
  await until(async () => (await get(t, running, '/readyz')).status === 503, 'it is not ready');
  assert.deepEqual(refusalIn(await send(t, running, { method: 'DELETE', path: '/regions/model' })), refused);
  await running.close();
  assert.deepEqual(readdirSync(parent).sort(), ['current', 'v2']);
});
