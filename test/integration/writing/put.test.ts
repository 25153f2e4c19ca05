/** PUT: regions that are made, or replaced as a whole. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { RawClient } from '../../support/raw.ts';
import { makeFolder, seededBytes } from '../../support/regions.ts';
import { type Change, change } from '../../support/requests.ts';
import {
  fileIn,
  kept,
  makeTree,
  put,
  refusalIn,
  send,
  startWritable,
  untilOldIsGone,
  type Writable,
} from '../../support/writable.ts';

const path = '/regions/file.bin';

function putting(name: string, body = 'abc', fields: Record<string, string> = {}): Change {
  return { method: 'PUT', path: `/regions/${name}`, fields, body: Buffer.from(body) };
}

async function contentOf(t: TestContext, running: Writable, name: string): Promise<string> {
  const { status, body } = await send(t, running, { method: 'GET', path: `/regions/${name}` });
  assert.equal(status, 200, name);
  return body.toString();
}

test('PUT makes a region (201, Location) and replaces it (204)', async (t) => {
  const running = await startWritable(t);
  const client = await RawClient.connect(t, running.port);
  const tags: string[] = [];
  for (const [at, body] of ['first', 'second', '', 'fourth'].entries()) {
    const { status, fields } = await change(client, putting('file.bin', body));
    assert.equal(status, at === 0 ? 201 : 204);
    assert.equal(fields.get('location'), at === 0 ? path : undefined);
    const got = await change(client, { method: 'GET', path });
    assert.deepEqual([got.status, got.body.toString()], [200, body]);
    assert.equal(got.fields.get('etag'), fields.get('etag'));
    assert.equal(fileIn(running, 'file.bin').toString(), body);
    tags.push(fields.get('etag') ?? '');
  }
  assert.equal(new Set(tags).size, 4);
  assert.deepEqual(kept(running, 'tmp'), []);
  await untilOldIsGone(running);
});

test('Location is the address of the region, percent-encoded, without a query', async (t) => {
  const running = await startWritable(t);
  for (const [asked, location] of [
    ['/regions/a?x=1', '/regions/a'],
    ['/regions/%62', '/regions/b'],
    ['/regions/c%2Fd', '/regions/c/d'],
    ['/regions/sha256:ab', '/regions/sha256:ab'],
    ['/regions/a%20%22b%22%0A', '/regions/a%20%22b%22%0A'],
  ] as const) {
    const answer = await send(t, running, { method: 'PUT', path: asked, body: Buffer.from('x') });
    assert.deepEqual([answer.status, answer.fields.get('location')], [201, location]);
  }
  assert.equal(fileIn(running, 'b').toString(), 'x');
});

test('folders are made as names ask for them', async (t) => {
  const running = await startWritable(t, 'ext4');
  const longest = Array.from({ length: 51 }, () => 'x'.repeat(19)).join('/');
  const names = ['a/b', 'a/c', 'd/e/f/g', 'h-_.i/1', 'x'.repeat(255), longest];
  await Promise.all(names.map((name) => put(t, running, name, Buffer.from(name))));
  for (const name of names) assert.equal(await contentOf(t, running, name), name);
});

test('of a region and one below its name there is only one', async (t) => {
  const running = await startWritable(t);
  await put(t, running, 'a', Buffer.from('a'));
  for (const name of ['a/b', 'a/b/c']) {
    assert.deepEqual(refusalIn(await send(t, running, putting(name))), [409, 'name-conflict'], name);
  }
  await put(t, running, 'c/d/e', Buffer.from('e'));
  for (const name of ['c', 'c/d']) {
    assert.deepEqual(refusalIn(await send(t, running, putting(name))), [409, 'name-conflict'], name);
  }
  assert.deepEqual([await contentOf(t, running, 'a'), await contentOf(t, running, 'c/d/e')], ['a', 'e']);
  assert.deepEqual(kept(running, 'tmp'), []);

  assert.equal((await send(t, running, { method: 'DELETE', path: '/regions/c/d/e' })).status, 204);
  await put(t, running, 'c', Buffer.from('c'));
  assert.equal((await send(t, running, { method: 'DELETE', path: '/regions/a' })).status, 204);
  await put(t, running, 'a/b', Buffer.from('b'));
  mkdirSync(join(running.dir, 'empty'));
  await put(t, running, 'empty', Buffer.from('not any more'));
  assert.equal(await contentOf(t, running, 'empty'), 'not any more');
});

test('what can be no name is 400 bad-name, and makes nothing', async (t) => {
  const running = await startWritable(t);
  const before = readdirSync(running.dir, { recursive: true }).sort();
  const long = Array.from({ length: 60 }, () => 'x'.repeat(19)).join('/');
  const names = ['', '.pagerelay/x', '.pagerelay', '..', '.', '../x', 'a/../x', 'a/./b', 'a//b', '/a', 'a/', long];
  const encoded = [
    '%2e%2e/x',
    'a%2f..%2fx',
    '%2epagerelay/tmp/x',
    'a%00b',
    'a%',
    'a%zz',
    'a%ff',
    '%c0%af',
    '%ed%a0%80',
  ];
  for (const name of [...names, ...encoded]) {
    const client = await RawClient.connect(t, running.port);
    const answer = await change(client, putting(name));
    assert.deepEqual(refusalIn(answer), [400, 'bad-name'], name);
    assert.notEqual((await change(client, { method: 'DELETE', path: `/regions/${name}` })).status, 204, name);
    client.destroy();
  }
  await put(t, running, 'a%2fb', Buffer.from('an encoded slash is a slash'));
  assert.equal(await contentOf(t, running, 'a/b'), 'an encoded slash is a slash');
  await send(t, running, { method: 'DELETE', path: '/regions/a/b' });
  await untilOldIsGone(running);
  assert.deepEqual(readdirSync(running.dir, { recursive: true }).sort(), before);
});

test('a segment that the file system can not hold is refused, and leaves no folder behind', async (t) => {
  const running = await startWritable(t);
  mkdirSync(join(running.dir, 'empty'));
  const before = readdirSync(running.dir, { recursive: true });
  const long = 'x'.repeat(256);
  for (const name of [long, `n1/${long}`, `n2/n3/${long}`, `n4/${long}/n5`, `empty/${long}`, `empty/n6/${long}`]) {
    assert.deepEqual(refusalIn(await send(t, running, putting(name))), [400, 'bad-name'], name);
    assert.deepEqual(readdirSync(running.dir, { recursive: true }), before, name);
  }
});

test('a FIFO, a socket, a device and a folder that holds anything are not replaced', async (t) => {
  const running = await startWritable(t);
  const at = (name: string) => join(running.dir, name);
  execFileSync('mkfifo', [at('fifo')]);
  const server = createServer().listen(at('socket'));
  await once(server, 'listening');
  t.after(() => server.close());
  mkdirSync(at('folder/inside'), { recursive: true });
  const names = ['fifo', 'socket', 'folder'];
  if (process.getuid?.() === 0) {
    execFileSync('mknod', [at('device'), 'c', '1', '3']);
    names.push('device');
  }
  const kinds = () => names.map((name) => `${name} ${lstatSync(at(name)).mode} ${lstatSync(at(name)).ino}`);
  const before = kinds();
  for (const name of names) {
    assert.deepEqual(refusalIn(await send(t, running, putting(name))), [409, 'name-conflict'], name);
    assert.equal((await send(t, running, { method: 'DELETE', path: `/regions/${name}` })).status, 404, name);
  }
  assert.deepEqual(kinds(), before);
  assert.deepEqual(kept(running, 'tmp'), []);
  assert.deepEqual(kept(running, 'old'), []);
});

test('a PUT over a FIFO is refused before its body comes', async (t) => {
  const running = await startWritable(t);
  mkdirSync(join(running.dir, 'folder'));
  for (const name of ['fifo', 'folder/fifo']) {
    execFileSync('mkfifo', [join(running.dir, name)]);
    const client = await RawClient.connect(t, running.port);
    client.write(
      `PUT /regions/${name} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n`,
    );
    assert.deepEqual(refusalIn(await client.response()), [409, 'name-conflict'], name);
    client.destroy();
  }
});

test('no link leads a PUT out of the tree', async (t) => {
  const running = await startWritable(t);
  const outside = makeFolder(t, 'tmpfs');
  writeFileSync(join(outside, 'file'), 'outside');
  symlinkSync(join(outside, 'file'), join(running.dir, 'link'));
  symlinkSync(join(outside, 'none'), join(running.dir, 'dangling'));
  symlinkSync(outside, join(running.dir, 'folder'));
  for (const name of ['folder/file', 'folder/new', 'folder/sub/new']) {
    const answer = await send(t, running, putting(name));
    assert.deepEqual(refusalIn(answer), [409, 'name-conflict'], name);
  }
  for (const name of ['link', 'dangling']) {
    await put(t, running, name, Buffer.from('inside'));
    assert.equal(await contentOf(t, running, name), 'inside', 'the link itself is replaced');
  }
  assert.deepEqual(readdirSync(outside), ['file']);
  assert.equal(readFileSync(join(outside, 'file'), 'utf8'), 'outside');
  assert.deepEqual(kept(running, 'tmp'), []);
});

test('a link inside the tree is replaced, not written through', async (t) => {
  const running = await startWritable(t);
  writeFileSync(join(running.dir, 'target'), 'target');
  symlinkSync('target', join(running.dir, 'link'));
  await put(t, running, 'link', Buffer.from('new'));
  assert.deepEqual([await contentOf(t, running, 'link'), await contentOf(t, running, 'target')], ['new', 'target']);
});

async function typesOf(t: TestContext, running: Writable, name: string): Promise<(string | undefined)[]> {
  const client = await RawClient.connect(t, running.port);
  const get = await change(client, { method: 'GET', path: `/regions/${name}` });
  client.write(`HEAD /regions/${name} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  const head = await client.response('HEAD');
  const list = await change(client, { method: 'GET', path: '/regions' });
  client.destroy();
  const { regions } = JSON.parse(list.body.toString()) as { regions: { name: string; contentType: string }[] };
  const listed = regions.find((region) => region.name === name);
  return [get.fields.get('content-type'), head.fields.get('content-type'), listed?.contentType];
}

test('Content-Type is kept, also across a restart; without one the name decides', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  const types: Record<string, string | undefined> = {
    'a.json': 'text/x-mine; charset=utf-8',
    'b.bin': 'image/png',
    'c.json': undefined,
    plain: undefined,
  };
  const expected = { 'a.json': 'text/x-mine; charset=utf-8', 'b.bin': 'image/png', 'c.json': 'application/json' };
  for (let run = 0; run < 2; run++) {
    const running = await startWritable(scope, 'tmpfs', { dir });
    if (run === 0) {
      for (const [name, type] of Object.entries(types)) {
        await send(t, running, putting(name, '{}', type === undefined ? {} : { 'content-type': type }));
      }
    }
    for (const [name, type] of Object.entries(expected)) {
      assert.deepEqual(await typesOf(t, running, name), [type, type, type], `${name}, run ${run}`);
    }
    assert.deepEqual(await typesOf(t, running, 'plain'), Array(3).fill('application/octet-stream'));
    if (run === 1) {
      await send(t, running, putting('b.bin', 'x'));
      const [type] = await typesOf(t, running, 'b.bin');
      assert.equal(type, 'application/octet-stream', 'a replacement does not inherit it');
    }
    await running.close();
  }
});

test('a malformed Content-Type is 400, a Content-Encoding 415', async (t) => {
  const running = await startWritable(t);
  for (const type of ['none', 'a/', '/b', 'a b/c', 'a/b c', `a/${'x'.repeat(300)}`]) {
    const answer = await send(t, running, putting('file.bin', 'x', { 'content-type': type }));
    assert.equal(answer.status, 400, type);
  }
  const encoded = await send(t, running, putting('file.bin', 'x', { 'content-encoding': 'gzip' }));
  assert.deepEqual(refusalIn(encoded), [415, 'unsupported-media-type']);
  assert.ok(!existsSync(join(running.dir, 'file.bin')));
});

test('If-None-Match: * makes only, If-Match replaces only what it names', async (t) => {
  const running = await startWritable(t);
  const putIf = (fields: Record<string, string>) => send(t, running, putting('file.bin', 'x', fields));
  for (const tag of ['"none"', '*']) {
    assert.deepEqual(refusalIn(await putIf({ 'if-match': tag })), [412, 'precondition-failed'], 'nothing is there');
  }
  const made = await putIf({ 'if-none-match': '*' });
  assert.equal(made.status, 201);
  const again = await putIf({ 'if-none-match': '*' });
  assert.deepEqual(refusalIn(again), [412, 'precondition-failed']);
  assert.equal(again.fields.get('etag'), made.fields.get('etag'));
  const tag = made.fields.get('etag') ?? '';
  assert.equal((await putIf({ 'if-match': `W/${tag}` })).status, 412, 'a weak tag matches nothing');
  assert.equal((await putIf({ 'if-none-match': tag })).status, 412);
  assert.equal((await putIf({ 'if-match': `"other", ${tag}` })).status, 204);
  assert.equal((await putIf({ 'if-match': tag })).status, 412, 'it is stale now');
  assert.equal((await putIf({ 'if-match': '*' })).status, 204);
});

test('of many PUTs with the same If-Match one is done', async (t) => {
  const running = await startWritable(t, 'ext4');
  let tag = await put(t, running, 'file.bin', Buffer.from('first'));
  for (let round = 0; round < 5; round++) {
    const bodies = ['one', 'two', 'three', 'four'].map((text) => `${text} ${round} ${seededBytes(50_000, round)}`);
    const answers = await Promise.all(
      bodies.map((body) => send(t, running, putting('file.bin', body, { 'if-match': tag }))),
    );
    const winners = answers.flatMap(({ status }, at) => (status === 204 ? [at] : []));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 412, 412, 412]);
    const [winner = -1] = winners;
    assert.equal(fileIn(running, 'file.bin').toString(), bodies[winner]);
    tag = answers[winner]?.fields.get('etag') ?? '';
  }
  assert.deepEqual(kept(running, 'tmp'), []);
});
