/** Lanes answer for regions that nobody has asked for before: they were told of them ahead. */
import assert from 'node:assert/strict';
import {
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ServiceOptions } from '../../src/service.ts';
import { referencesOf } from '../support/holds.ts';
import { answersOf, comparable, fedOf } from '../support/lane-answers.ts';
import { until } from '../support/poll.ts';
import { RawClient, type RawResponse } from '../support/raw.ts';
import { seededBytes } from '../support/regions.ts';
import { type Change, overwriting } from '../support/requests.ts';
import { type Running, startService } from '../support/service.ts';
import { makeTree, put, read, send, startWritable } from '../support/writable.ts';

const size = 100_000;
const content = (seed: number) => seededBytes(size, seed);

/** A tree with `files`, each of another content, all of which were changed long enough ago. */
async function makeFiles(t: TestContext, files: readonly string[]) {
  const { dir, scope } = makeTree(t, 'tmpfs');
  for (const [at, name] of ['first', ...files].entries()) {
    mkdirSync(join(dir, name, '..'), { recursive: true });
    writeFileSync(join(dir, name), content(at));
  }
  await until(() => Date.now() - statSync(join(dir, files.at(-1) ?? 'first')).ctimeMs > 200, 'all is settled');
  return { dir, scope };
}

/** Waits until lanes were told of so many regions. */
async function untilTold(running: Pick<Running, 'service'>, count: number): Promise<void> {
  const told = () => running.service.relay.counters().published;
  await until(() => told() >= count, `lanes know ${count} regions`, told);
}

/** A service on such a tree, whose lanes know of all of it and have been let answer by one request for `first`. */
async function start(t: TestContext, files: readonly string[], options: Partial<ServiceOptions> = {}) {
  const { dir, scope } = await makeFiles(t, files);
  const running = await startService(scope, { engine: 'sendfile', dir, ...options });
  await untilTold(running, 1 + files.length);
  return { dir, ...(await letAnswer(t, running)) };
}

async function letAnswer(t: TestContext, running: Running) {
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/first', '0-9');
  assert.equal((await client.response()).status, 206);
  assert.deepEqual([answersOf(running), fedOf(running)], [0, 1]);
  return { running, client };
}

async function get(client: RawClient, name: string, range?: string): Promise<RawResponse> {
  client.get(`/regions/${name}`, range);
  return client.response();
}

test('the first request for a region is a lane’s', async (t) => {
  const { running, client } = await start(t, ['a.bin', 'folder/b.txt', 'c c.json']);
  assert.ok((await get(client, 'a.bin')).body.equals(content(1)));
  assert.ok((await get(client, 'folder/b.txt', '10-19')).body.equals(content(2).subarray(10, 20)));
  assert.ok((await get(client, 'c%20c.json')).body.equals(content(3)));
  assert.ok((await get(client, 'a.bin', '5-')).body.equals(content(1).subarray(5)));
  await until(() => answersOf(running) === 4, 'lanes have answered all of them');
  assert.equal(fedOf(running), 1);
});

test('it is answered as by Node, to the byte', async (t) => {
  const files = ['a.bin', 'folder/b.txt', 'c c.json', "d'(1).html"];
  const headers = [{ name: 'X-Own', value: 'one' }];
  const { dir, running, client } = await start(t, files, { headers });
  const other = await startService(t, { engine: 'sendfile', dir, headers, express: false });
  const byNode = await RawClient.connect(t, other.port);
  const lines = ['', 'Range: bytes=3-7\r\n', 'Range: bytes=-5\r\n', 'If-None-Match: "x"\r\n'];
  for (const path of ['a.bin', 'folder/b.txt', 'c%20c.json', "d'(1).html", 'd%27%281%29.html']) {
    for (const fields of lines) {
      const answers = [client, byNode].map((each) => {
        each.get(`/regions/${path}`, undefined, fields);
        return each.response();
      });
      const [got, expected] = await Promise.all(answers);
      const told = (response?: RawResponse) => comparable(Buffer.from(JSON.stringify([...(response?.fields ?? [])])));
      assert.equal(got?.status, expected?.status);
      assert.equal(told(got).replace(/"date","[^"]*"/, ''), told(expected).replace(/"date","[^"]*"/, ''));
      assert.ok(expected && got?.body.equals(expected.body));
    }
  }
  await until(
    () => answersOf(running) === 20,
    'lanes have answered all of them',
    () => running.service.relay.counters(),
  );
});

test('before Node has answered for anything, nothing is', async (t) => {
  const { dir, scope } = await makeFiles(t, ['a']);
  const running = await startService(scope, { dir });
  await untilTold(running, 2);
  const client = await RawClient.connect(t, running.port);
  assert.equal((await get(client, 'a')).status, 200);
  assert.deepEqual([answersOf(running), fedOf(running, 'guard')], [0, 1]);
});

test('what no region may be called is not told of', async (t) => {
  const { dir, scope } = await makeFiles(t, ['a', '.hidden', 'b/.hidden/c']);
  symlinkSync('a', join(dir, 'link'));
  symlinkSync('.pagerelay', join(dir, 'state'));
  symlinkSync('/etc/hostname', join(dir, 'out'));
  const running = await startService(scope, { dir, dotfiles: 'deny', engine: 'sendfile' });
  await untilTold(running, 2);
  const { client } = await letAnswer(t, running);
  assert.equal((await get(client, 'a')).status, 200);
  for (const name of ['.hidden', 'b/.hidden/c', 'state/lock', 'out', '.pagerelay/lock'])
    assert.equal((await get(client, name)).status, 404);
  assert.ok((await get(client, 'link')).body.equals(content(1)), 'a link is Node’s at first');
  assert.equal(answersOf(running), 1);
});

/** What others do to a file, and what is answered right after: a status, or other bytes. */
const others: Readonly<Record<string, { change: (path: string) => void; content?: Buffer; status?: number }>> = {
  'replaced it': {
    change(path) {
      writeFileSync(`${path}.new`, content(9));
      renameSync(`${path}.new`, path);
    },
    content: content(9),
  },
  'replaced it by one of the same size and mtime': {
    change(path) {
      const { atime, mtime } = statSync(path);
      writeFileSync(`${path}.new`, content(9));
      utimesSync(`${path}.new`, atime, mtime);
      renameSync(`${path}.new`, path);
    },
    content: content(9),
  },
  'written to it': { change: (path) => writeFileSync(path, content(9)), content: content(9) },
  'cut it': { change: (path) => truncateSync(path, 10), content: content(1).subarray(0, 10) },
  'removed it': { change: (path) => rmSync(path), status: 404 },
  'put a folder in its place': {
    change(path) {
      rmSync(path);
      mkdirSync(path);
    },
    status: 404,
  },
  'put a link out of the tree in its place': {
    change(path) {
      rmSync(path);
      symlinkSync('/etc/hostname', path);
    },
    status: 404,
  },
  'given it another name': { change: (path) => linkSync(path, `${path}.too`), content: content(1) },
};

for (const [what, { change, content: expected, status = 200 }] of Object.entries(others)) {
  test(`who asks for a region first, after others have ${what}, is answered by what is there`, async (t) => {
    const { dir, client } = await start(t, ['a']);
    change(join(dir, 'a'));
    const answer = await get(client, 'a');
    assert.equal(answer.status, status);
    if (expected) assert.ok(answer.body.equals(expected));
    const again = await get(client, 'a');
    assert.deepEqual([again.status, again.fields.get('etag')], [status, answer.fields.get('etag')]);
  });
}

const overwritten = Buffer.concat([content(1).subarray(0, 50), content(9).subarray(0, 100), content(1).subarray(150)]);
const path = '/regions/a';
const patch = { 'content-type': 'application/merge-patch+json' };
const own: Readonly<Record<string, { change: Change; content?: Buffer }>> = {
  'a PUT': { change: { method: 'PUT', path, body: content(9) }, content: content(9) },
  'an overwrite in place': { change: overwriting(path, 50, content(9).subarray(0, 100), 10), content: overwritten },
  'a PATCH that shrinks': {
    change: { method: 'PATCH', path, fields: patch, body: Buffer.from('{"size":77}') },
    content: content(1).subarray(0, 77),
  },
  'a DELETE': { change: { method: 'DELETE', path } },
};

for (const before of ['never', 'once'] as const) {
  for (const [what, { change, content: expected }] of Object.entries(own)) {
    test(`right after ${what} of a region that a lane was asked for ${before}, it is answered anew`, async (t) => {
      const { dir, scope } = await makeFiles(t, ['a']);
      const running = await startWritable(scope, 'tmpfs', { dir, engine: 'sendfile' });
      await untilTold(running, 2);
      const { client } = await letAnswer(t, running);
      const old = before === 'once' ? await get(client, 'a') : undefined;
      if (old) await until(() => answersOf(running) === 1, 'a lane has answered');
      const changed = await send(t, running, change);
      assert.equal(changed.status, 204, changed.body.toString());
      const answer = await get(client, 'a');
      assert.equal(answer.status, expected ? 200 : 404);
      if (!expected) return;
      assert.ok(answer.body.equals(expected));
      assert.notEqual(answer.fields.get('etag'), old?.fields.get('etag'));
      assert.equal(answer.fields.get('etag'), (await get(client, 'a')).fields.get('etag'));
    });
  }
}

test('what was said of a region when it was made is known to lanes of the next service', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  const before = await startWritable(scope, 'tmpfs', { dir });
  await put(t, before, 'first', content(0));
  const fields = { 'content-type': 'text/x-own' };
  const made = await send(t, before, { method: 'PUT', path: '/regions/a', fields, body: content(1) });
  const changed = await put(t, before, 'b', content(2));
  await send(t, before, overwriting('/regions/b', 0, content(3).subarray(0, 10), 10));
  const { etag } = await read(t, before, 'b');
  await before.close();
  await until(() => Date.now() - statSync(join(dir, 'b')).ctimeMs > 200, 'all is settled');
  const running = await startService(scope, { dir, engine: 'sendfile' });
  await untilTold(running, 3);
  const { client } = await letAnswer(t, running);
  const [a, b] = [await get(client, 'a'), await get(client, 'b')];
  await until(() => answersOf(running) === 2, 'lanes have answered both');
  assert.deepEqual([a.fields.get('content-type'), a.fields.get('etag')], ['text/x-own', made.fields.get('etag')]);
  assert.notEqual(etag, changed);
  assert.equal(b.fields.get('etag'), etag);
});

test('what a lane has opened is the service’s, by its name', async (t) => {
  const { dir, running, client } = await start(t, ['a', 'b']);
  const mebibytes = seededBytes(30 << 20, 5);
  writeFileSync(join(dir, 'b'), mebibytes);
  await get(client, 'a');
  const { catalog } = running.service;
  await until(
    () => catalog.openCount === 2,
    'the service has taken it over',
    () => catalog.openCount,
  );
  assert.equal(catalog.externalChanges.replaced, 0);
  renameSync(join(dir, 'b'), join(dir, 'a'));
  assert.equal((await get(client, 'a', '0-9')).body.length, 10);
  await until(() => catalog.externalChanges.replaced === 1, 'it was seen to be replaced');
  client.get('/regions/a');
  await until(async () => (await referencesOf(running)).length === 1, 'it is on its way');
  assert.equal((await referencesOf(running))[0]?.region, 'a');
  client.destroy();
});

test('what lanes have opened, many at once, the service knows as if it had opened it itself', async (t) => {
  const files = Array.from(
    { length: 150 },
    (_, at) => ['bin', 'txt', 'json'].map((ending) => `${at}.${ending}`)[at % 3] ?? '',
  );
  const { dir, running, client } = await start(t, files);
  for (const name of files) client.get(`/regions/${name}`, '0-9');
  for (const _ of files) assert.equal((await client.response()).status, 206);
  await until(() => answersOf(running) === files.length, 'lanes have answered all of them');
  const open = running.service.relay.counters().openFiles;
  const other = await startService(t, { engine: 'sendfile', dir, express: false });
  const told = ({ service }: Running, name: string) => {
    const { content, ...region } = service.catalog.find(name);
    return { ...region, ...content, generation: { ...content.generation, id: 0 } };
  };
  for (const name of files) assert.deepEqual(told(running, name), told(other, name));
  assert.equal(running.service.relay.counters().openFiles, open, 'none of it was opened again');
});

test('what a lane has opened is closed when others have removed it, though nobody asks for it again', async (t) => {
  const { dir, running, client } = await start(t, ['a', 'b']);
  for (const name of ['a', 'b']) assert.equal((await get(client, name)).status, 200);
  const open = () => running.service.relay.counters().openFiles;
  assert.equal(open(), 3);
  rmSync(join(dir, 'b'));
  await until(() => open() === 2, 'it is closed', open);
});

test('a tree that --dir leads to later is told of in its turn', async (t) => {
  const { dir: parent, scope } = await makeFiles(t, ['v1/first', 'v1/a', 'v2/first', 'v2/a']);
  const current = join(parent, 'current');
  symlinkSync('v1', current);
  const running = await startService(scope, { dir: current, engine: 'sendfile' });
  await untilTold(running, 2);
  const { client } = await letAnswer(t, running);
  assert.ok((await get(client, 'a')).body.equals(content(2)));
  symlinkSync('v2', join(parent, 'next'));
  renameSync(join(parent, 'next'), current);
  await until(async () => (await get(client, 'first')).body.equals(content(3)), 'it is followed');
  await untilTold(running, 2);
  const before = { answers: answersOf(running), fed: fedOf(running) };
  assert.ok((await get(client, 'a')).body.equals(content(4)));
  await until(() => answersOf(running) === before.answers + 1, 'a lane has answered');
  assert.equal(fedOf(running), before.fed);
});

test('an application whose hooks can refuse is asked first', async (t) => {
  const { dir, scope } = await makeFiles(t, ['a']);
  const { startApp } = await import('../support/app.ts');
  const { app } = await startApp(scope, { dir, express: { access: 'public' } });
  assert.equal(app.pagerelay.relay.counters().published, 0);
});
