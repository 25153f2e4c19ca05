/** `GET /regions` in pages, over a socket. @module */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { compareBytes } from '../../src/region/listing/byte-order.ts';
import { originOf, startCli } from '../support/process.ts';
import { RawClient, type RawResponse } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { codeOf } from '../support/requests.ts';
import { startService } from '../support/service.ts';

// test/pmem runs this there as well.
const isOnDax = process.env.PAGERELAY_TEST_ON_DAX !== undefined;

type Listed = { readonly name: string; readonly [field: string]: unknown };

async function get(client: RawClient, path: string): Promise<RawResponse> {
  client.get(path);
  return client.response();
}

function listed({ status, body }: RawResponse): Listed[] {
  assert.equal(status, 200, body.toString());
  return (JSON.parse(body.toString()) as { regions: Listed[] }).regions;
}

/** Follows `rel="next"` as a client does. */
async function pages(client: RawClient, query: string): Promise<string[][]> {
  const found: string[][] = [];
  for (let url: URL | undefined = new URL(`http://x/regions${query}`); url; ) {
    const response: RawResponse = await get(client, url.pathname + url.search);
    found.push(listed(response).map(({ name }) => name));
    const [, next] = /^<(.*)>; rel="next"$/.exec(response.fields.get('link') ?? '') ?? [];
    url = next === undefined ? undefined : new URL(next, url);
  }
  return found;
}

const names = ['a&b=c', 'a-b', 'a/b', 'a/c d', 'a/c%2f', 'a0', 'b/#?', 'b/ü', 'b/\u{1f600}', 'c'];

async function scene(t: TestContext) {
  const dir = makeFolder(t, 'tmpfs');
  for (const name of names) writeRegion(dir, name, 100);
  const { port, service } = await startService(t, { dir });
  return { dir, service, client: await RawClient.connect(t, port) };
}

test('all pages together are the list, whatever their size and whatever the names', async (t) => {
  const { client } = await scene(t);
  const whole = await pages(client, '');
  assert.deepEqual(whole, [names]);
  for (const limit of [1, 2, 3, names.length - 1, names.length, names.length + 1]) {
    const some = await pages(client, `?limit=${limit}`);
    assert.deepEqual(some.flat(), names);
    assert.deepEqual(
      some.map(({ length }) => length),
      Array.from({ length: Math.ceil(names.length / limit) }, (_, at) => Math.min(limit, names.length - at * limit)),
    );
  }
  assert.deepEqual(await pages(client, '?limit=2&prefix=a%2F'), [['a/b', 'a/c d'], ['a/c%2f']]);
  assert.deepEqual(await pages(client, '?prefix=a'), [names.slice(0, 6)]);
  assert.deepEqual(await pages(client, '?after=b&limit=9'), [names.slice(6)]);
});

test('behind the last name, and where no name begins so, there is an empty page', async (t) => {
  const { client } = await scene(t);
  assert.deepEqual(await pages(client, '?after=c'), [[]]);
  assert.deepEqual(await pages(client, '?prefix=nothing'), [[]]);
  assert.deepEqual(await pages(client, '?prefix=..%2F'), [[]]);
});

test('a query that makes no sense is 400 with a code', async (t) => {
  const { client } = await scene(t);
  const queries = [
    'limit=0',
    'limit=1001',
    'limit=-1',
    'limit=',
    'limit=x',
    'limit=1e3',
    'limit=1&limit=2',
    'region=a',
  ];
  for (const query of [...queries, 'after=a&after=b', 'prefix=a&prefix=b']) {
    const response = await get(client, `/regions?${query}`);
    assert.equal(response.status, 400, query);
    assert.equal(codeOf(response), 'bad-query', query);
  }
  assert.equal((await get(client, '/regions?other=1')).status, 200, 'what means nothing here is passed over');
});

test('what is listed is what reading it says, whether it is open or not, and listing opens nothing', async (t) => {
  const { client, service, dir } = await scene(t);
  symlinkSync('c', join(dir, 'link'));
  symlinkSync('nowhere', join(dir, 'dangling'));
  symlinkSync('/etc/passwd', join(dir, 'outside'));
  symlinkSync('a', join(dir, 'folder'));
  const before = listed(await get(client, '/regions'));
  assert.deepEqual(
    before.map(({ name }) => name),
    [...names, 'link'],
  );
  assert.deepEqual([...service.catalog.opened()], []);
  for (const { name, etag, contentType, size } of before) {
    const { fields } = await get(client, `/regions/${encodeURIComponent(name)}`);
    assert.deepEqual(
      [etag, contentType, String(size)],
      ['etag', 'content-type', 'content-length'].map((f) => fields.get(f)),
    );
  }
  const after = listed(await get(client, '/regions'));
  const but = ({ node: _node, nodes: _nodes, ...rest }: Listed) => rest;
  assert.deepEqual(after.map(but), before.map(but));
  assert.deepEqual(before.map(({ node, nodes }) => [node, nodes])[0], [null, {}], 'nobody has looked at its pages');
});

test('a list of named files and a tree is in one order, and has each name once', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  for (const name of ['a', 'c', 'e/f']) writeRegion(dir, name, 10);
  const path = writeRegion(makeFolder(t, 'tmpfs'), 'elsewhere', 20).path;
  const regions = ['b', 'd', 'e0', 'z'].map((name) => ({ name, path }));
  const { port } = await startService(t, { dir, regions });
  const client = await RawClient.connect(t, port);
  writeRegion(dir, 'd', 10);
  assert.deepEqual(await pages(client, '?limit=2'), [['a', 'b'], ['c', 'd'], ['e/f', 'e0'], ['z']]);
  const { regions: found } = JSON.parse((await get(client, '/regions?prefix=d')).body.toString());
  assert.equal(found[0].size, 20, 'the named file has the name');
});

test('a list tells by which means a region is overwritten in place, of each that can be changed', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'a', 10);
  const regions = [{ name: 'b', path: writeRegion(makeFolder(t, 'tmpfs'), 'elsewhere', 20).path }];
  const told = async (writable: boolean) => {
    const { port } = await startService(t, { dir, regions, writable });
    const found = listed(await get(await RawClient.connect(t, port), '/regions'));
    return found.map(({ name, writable, overwriteMeans }) => [name, writable, overwriteMeans]);
  };
  assert.deepEqual(await told(true), [
    ['a', true, isOnDax ? 'wait' : 'punch'],
    ['b', false, null],
  ]);
  assert.deepEqual(await told(false), [
    ['a', false, null],
    ['b', false, null],
  ]);
});

test("the service's own folder is not listed", async (t) => {
  const { client, dir } = await scene(t);
  writeRegion(dir, '.pagerelay/regions/3', 10);
  writeRegion(dir, 'a/.pagerelay/x', 10);
  assert.deepEqual(await pages(client, '?prefix=.'), [[]]);
  assert.deepEqual(await pages(client, '?prefix=a/.'), [['a/.pagerelay/x']]);
});

for (const writable of [false, true]) {
  test(`what a link in the tree leads to in the service's own folder is not listed, writable: ${writable}`, async (t) => {
    const { dir } = await scene(t);
    const { port } = await startService(t, { dir, writable, ...(writable && { maxBytes: 1 << 30 }) });
    const client = await RawClient.connect(t, port);
    writeFileSync(join(dir, '.pagerelay/x'), 'x');
    symlinkSync('.pagerelay/x', join(dir, 'in-state'));
    symlinkSync('.', join(dir, 'self'));
    symlinkSync('../self/.pagerelay/x', join(dir, 'b/roundabout'));
    symlinkSync('a0', join(dir, 'in-tree'));
    const expected = [...names, 'in-tree'].sort(compareBytes);
    assert.deepEqual(await pages(client, ''), [expected]);
    for (const name of ['in-state', 'b/roundabout', 'self/.pagerelay/x']) {
      assert.equal((await get(client, `/regions/${name}`)).status, 404, name);
    }
    assert.equal((await get(client, '/regions/in-tree')).status, 200);
  });
}

test('without descriptors there is no list, neither an empty one nor a part: 503, and the list when there are some', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  for (const name of ['a', 'b/c', 'd']) writeRegion(dir, name, 10);
  const child = startCli(t, ['serve', '--port', '0', '--dir', dir, '--log-level', 'silent']);
  const client = await RawClient.connect(t, Number(new URL(await originOf(child)).port));
  const limitTo = (descriptors: number) =>
    execFileSync('prlimit', ['--pid', String(child.process.pid), `--nofile=${descriptors}:`]);
  assert.equal(listed(await get(client, '/regions')).length, 3);
  limitTo(3);
  const refused = await get(client, '/regions');
  assert.equal(refused.status, 503);
  assert.equal(codeOf(refused), 'busy');
  assert.equal(refused.fields.get('retry-after'), '1');
  limitTo(1024);
  assert.equal(listed(await get(client, '/regions')).length, 3);
});

test('a tree that is gone is an error of the list, not a list of nothing', async (t) => {
  const { client, dir } = await scene(t);
  rmSync(dir, { recursive: true });
  const gone = await get(client, '/regions');
  assert.deepEqual([gone.status, codeOf(gone)], [500, 'internal']);
  mkdirSync(dir);
  writeFileSync(join(dir, 'x'), '');
});

test('others are answered while a long list is made', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  // Most of it has no name of a region, so that one page takes all of it.
  mkdirSync(join(dir, 'd'));
  for (let at = 0; at < 5000; at++) symlinkSync('nowhere', join(dir, 'd', `n${at}`));
  writeRegion(dir, 'z', 10);
  const { port } = await startService(t, { dir });
  const [lister, other] = await Promise.all([RawClient.connect(t, port), RawClient.connect(t, port)]);
  let answers = 0;
  // There is always another list to make: nobody is answered because none is made.
  const making = (async () => {
    do {
      const names = listed(await get(lister, '/regions')).map(({ name }) => name);
      assert.deepEqual(names, ['z']);
    } while (answers < 5);
  })();
  for (; answers < 5; answers++) assert.equal((await get(other, '/healthz')).status, 200);
  await making;
});
