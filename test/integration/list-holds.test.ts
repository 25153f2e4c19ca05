/** `GET /references` and `GET /leases` in pages, over a socket. @module */
import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../support/poll.ts';
import { RawClient, type RawResponse } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { change, codeOf } from '../support/requests.ts';
import { type Running, startService } from '../support/service.ts';
import { startWritable } from '../support/writable.ts';

const size = 16 << 20;

type Item = { readonly id: number | string; readonly region: string };

function get(client: RawClient, path: string): Promise<RawResponse> {
  return change(client, { method: 'GET', path });
}

/** Follows `rel="next"` as a client does. */
async function pages(client: RawClient, list: 'references' | 'leases', query: string): Promise<Item[][]> {
  const found: Item[][] = [];
  for (let url: URL | undefined = new URL(`http://x/${list}${query}`); url; ) {
    const { status, fields, body } = await get(client, url.pathname + url.search);
    assert.equal(status, 200, body.toString());
    found.push(JSON.parse(body.toString())[list]);
    const [, next] = /^<(.*)>; rel="next"$/.exec(fields.get('link') ?? '') ?? [];
    url = next === undefined ? undefined : new URL(next, url);
  }
  return found;
}

/** Readers that ask for a region and read nothing. */
async function hold(t: TestContext, { port, service }: Running, path: string, readers: number): Promise<void> {
  const before = service.relay.counters().references;
  for (let each = 0; each < readers; each++) (await RawClient.connect(t, port)).get(path);
  await until(() => service.relay.counters().references === before + readers, 'they are held');
}

test('pages of references have each one once, in the order of ids', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  for (const name of ['a', 'b']) writeRegion(dir, name, size);
  const running = await startService(t, { dir });
  await hold(t, running, '/regions/a', 5);
  await hold(t, running, '/regions/b', 4);
  const client = await RawClient.connect(t, running.port);
  const [all = []] = await pages(client, 'references', '');
  const ids = all.map(({ id }) => Number(id));
  assert.equal(ids.length, 9);
  assert.deepEqual(
    ids,
    ids.toSorted((one, other) => one - other),
  );
  for (const limit of [1, 2, 4, 9]) {
    const some = await pages(client, 'references', `?limit=${limit}`);
    assert.deepEqual(
      some.flat().map(({ id }) => id),
      ids,
    );
    assert.ok(some.every((page) => page.length <= limit));
  }
  assert.deepEqual(await pages(client, 'references', `?after=${ids.at(-1)}`), [[]]);
});

test('references to one region are those to every file that it has had', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  for (const name of ['a', 'b']) writeRegion(dir, name, size);
  const running = await startService(t, { dir });
  await hold(t, running, '/regions/a', 3);
  await hold(t, running, '/regions/b', 2);
  writeRegion(dir, 'new', size, 2);
  renameSync(join(dir, 'new'), join(dir, 'a'));
  await hold(t, running, '/regions/a', 4);
  const client = await RawClient.connect(t, running.port);
  for (const limit of [1, 2, 3, 7, 1000]) {
    const some = (await pages(client, 'references', `?region=a&limit=${limit}`)).flat();
    assert.equal(some.length, 7, `${limit} at a time`);
    assert.ok(some.every(({ region }) => region === 'a'));
    assert.deepEqual(
      some,
      some.toSorted((one, other) => Number(one.id) - Number(other.id)),
    );
  }
  assert.deepEqual(await pages(client, 'references', '?region=none'), [[]]);
});

test('others are answered while many references are listed', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'a', 4096);
  const { service, port } = await startService(t, { dir });
  const { content } = service.catalog.find('a');
  const holds = Array.from({ length: 20_000 }, () =>
    service.relay.hold(content, 'stream', [{ offset: 0, length: 4096 }]),
  );
  const [lister, other] = await Promise.all([RawClient.connect(t, port), RawClient.connect(t, port)]);
  const list = 'GET /references HTTP/1.1\r\nHost: localhost\r\n\r\n';
  lister.write(list.repeat(10));
  let answers = 0;
  // There are always more pages to make: nobody is answered because none is made.
  const listing = (async () => {
    for (let pages = 10; pages > 0; pages--) {
      const { status, body } = await lister.response();
      assert.equal(status, 200);
      assert.equal(JSON.parse(body.toString()).references.length, 1000);
      if (answers >= 5) continue;
      lister.write(list);
      pages++;
    }
  })();
  for (; answers < 5; answers++) assert.equal((await get(other, '/healthz')).status, 200);
  await listing;
  for (const hold of holds) if (typeof hold === 'number') service.relay.release(hold, 'cancelled');
});

test('what is done when a page is made is not in it', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'a', size);
  const running = await startService(t, { dir });
  const reader = await RawClient.connect(t, running.port);
  await hold(t, running, '/regions/a', 2);
  reader.get('/regions/a', '0-99999');
  await reader.response();
  const client = await RawClient.connect(t, running.port);
  assert.equal((await pages(client, 'references', '?limit=1')).flat().length, 2);
});

test('pages of leases have each one once', async (t) => {
  const running = await startWritable(t);
  writeRegion(running.dir, 'a', size);
  const client = await RawClient.connect(t, running.port);
  const ids: string[] = [];
  for (let at = 0; at < 7; at++) {
    const body = Buffer.from(JSON.stringify({ region: 'a', first: at << 12, last: at << 12, ttlSeconds: 60 }));
    const fields = { 'content-type': 'application/json' };
    const taken = await change(client, { method: 'POST', path: '/leases', fields, body });
    assert.equal(taken.status, 201, taken.body.toString());
    ids.push((JSON.parse(taken.body.toString()) as { id: string }).id);
  }
  for (const limit of [1, 3, 7, 8]) {
    const some = await pages(client, 'leases', `?limit=${limit}`);
    assert.equal(some.length, Math.ceil(7 / limit));
    assert.deepEqual(
      some.flat().map(({ id }) => id),
      ids.toSorted(),
    );
  }
});

test('a query that makes no sense is 400 with a code', async (t) => {
  const { port } = await startWritable(t);
  const client = await RawClient.connect(t, port);
  const queries = ['limit=0', 'limit=1001', 'limit=x', 'limit=1&limit=1', 'after=1&after=2', 'prefix=a'];
  const ofReferences = [...queries, 'after=x', 'after=-1', 'after=1.5', 'after=99999999999999999', 'region=a&region=b'];
  const asked = [
    ...ofReferences.map((query) => `/references?${query}`),
    ...[...queries, 'region=a'].map((query) => `/leases?${query}`),
  ];
  for (const path of asked) {
    const refused = await get(client, path);
    assert.deepEqual([refused.status, codeOf(refused)], [400, 'bad-query'], path);
  }
});
