/** Options of the plugin and of one call, and requests from pages of other origins. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import cors from '@fastify/cors';
import fastify, { type FastifyInstance } from 'fastify';
import type { RegionFields } from '../../src/http/read/region-headers.ts';
import { type PagerelayOptions, pagerelay } from '../../src/plugin.ts';
import { carriedBy, quick, startApp } from '../support/app.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';

const origin = 'https://page.example';

async function start(
  t: TestContext,
  options: PagerelayOptions,
  given?: RegionFields,
  build: (app: FastifyInstance) => unknown = () => {},
): Promise<{ app: FastifyInstance; port: number }> {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'notes/todo.txt', 5000, 91);
  return startApp(t, { dir, ...options }, async (app) => {
    await build(app);
    app.get('/mine', (_, reply) => reply.sendRegion('notes/todo.txt', given));
  });
}

async function headersOf(app: FastifyInstance, url: string, headers: Record<string, string> = {}) {
  return (await app.inject({ url, headers })).headers;
}

type FieldCase = {
  readonly options: RegionFields;
  readonly given?: RegionFields;
  readonly field: string;
  readonly atRoutes: string | undefined;
  readonly atCall: string | undefined;
};

const fieldCases: Record<string, FieldCase> = {
  'contentType is left to the name': {
    options: {},
    field: 'content-type',
    atRoutes: 'text/plain; charset=utf-8',
    atCall: 'text/plain; charset=utf-8',
  },
  'contentType of the plugin': {
    options: { contentType: 'application/x-plugin' },
    field: 'content-type',
    atRoutes: 'application/x-plugin',
    atCall: 'application/x-plugin',
  },
  'contentType of a call wins': {
    options: { contentType: 'application/x-plugin' },
    given: { contentType: 'application/x-call' },
    field: 'content-type',
    atRoutes: 'application/x-plugin',
    atCall: 'application/x-call',
  },
  'cacheControl is no-cache': { options: {}, field: 'cache-control', atRoutes: 'no-cache', atCall: 'no-cache' },
  'cacheControl can be left out': {
    options: { cacheControl: false },
    given: { cacheControl: false },
    field: 'cache-control',
    atRoutes: undefined,
    atCall: undefined,
  },
  'cacheControl of the plugin': {
    options: { cacheControl: 'public, max-age=31536000, immutable' },
    field: 'cache-control',
    atRoutes: 'public, max-age=31536000, immutable',
    atCall: 'public, max-age=31536000, immutable',
  },
  'cacheControl of a call wins': {
    options: { cacheControl: 'public' },
    given: { cacheControl: 'no-store' },
    field: 'cache-control',
    atRoutes: 'public',
    atCall: 'no-store',
  },
  'contentDisposition is off': { options: {}, field: 'content-disposition', atRoutes: undefined, atCall: undefined },
  'contentDisposition has the last segment of the name': {
    options: { contentDisposition: 'attachment' },
    given: { contentDisposition: 'inline' },
    field: 'content-disposition',
    atRoutes: 'attachment; filename=todo.txt',
    atCall: 'inline; filename=todo.txt',
  },
};

for (const [what, { options, given, field, atRoutes, atCall }] of Object.entries(fieldCases)) {
  test(what, async (t) => {
    const { app } = await start(t, options, given);
    for (const range of ['', 'bytes=0-9']) {
      const asked: Record<string, string> = range === '' ? {} : { range };
      assert.equal((await headersOf(app, '/regions/notes/todo.txt', asked))[field], atRoutes);
      assert.equal((await headersOf(app, '/mine', asked))[field], atCall);
    }
  });
}

test('the content type of the parts of several ranges is the chosen one', async (t) => {
  const { app } = await start(t, { contentType: 'application/x-plugin' });
  const { headers, body } = await app.inject({ url: '/mine', headers: { range: 'bytes=0-1,10-11' } });
  assert.match(String(headers['content-type']), /^multipart\/byteranges; boundary=/);
  assert.equal(body.match(/content-type: application\/x-plugin\r\n/g)?.length, 2);
});

test('a 304 has the chosen Cache-Control', async (t) => {
  const { app } = await start(t, { cacheControl: 'public, max-age=5' });
  const etag = String((await headersOf(app, '/mine')).etag);
  const { statusCode, headers } = await app.inject({ url: '/mine', headers: { 'if-none-match': etag } });
  assert.deepEqual([statusCode, headers['cache-control']], [304, 'public, max-age=5']);
});

test('a cacheControl that is no value of a field is refused when the plugin is registered', async (t) => {
  for (const cacheControl of ['a\r\nSet-Cookie: b=c', '', 'é', 'no-cache\0']) {
    await assert.rejects(start(t, { cacheControl }), { name: 'TypeError', message: /^cacheControl: / });
  }
});

test('a durability that there is not is a TypeError', async (t) => {
  const durability = 'fsync' as 'sync';
  await assert.rejects(start(t, { durability }), { name: 'TypeError', message: /^durability: fsync / });
});

const no = {
  seconds: [-1, Number.NaN, 2_147_484, Number.POSITIVE_INFINITY, '1'],
  bytes: [-1, 1.5, Number.NaN, 2 ** 53],
};
const impossible: Readonly<Record<string, readonly unknown[]>> = {
  copyBelow: no.bytes,
  copyFirstBelow: no.bytes,
  lanes: [0, -1, 1.5, Number.NaN, 257, '2'],
  maxHold: [0, ...no.seconds],
  drain: no.seconds,
  keepVersions: no.seconds,
  keepBytes: [0, ...no.bytes],
  breakHolds: [0, ...no.seconds],
  bodyTimeout: [0, ...no.seconds],
  maxWait: no.seconds,
  maxPartial: [0, ...no.bytes],
  maxDigestBytes: no.bytes,
  maxBytes: [0, ...no.bytes],
  engine: ['fast', ''],
  dotfiles: ['allowed'],
};

for (const [option, values] of Object.entries(impossible)) {
  test(`${option} that can not be is refused when the plugin is registered, by name`, async (t) => {
    for (const value of values) {
      const message = new RegExp(`^${option}: ${value} is (not|none of) `);
      await assert.rejects(start(t, { [option]: value }), { name: 'TypeError', message }, String(value));
    }
  });
}

test('numbers at the edge of what options may be are taken', async (t) => {
  const seconds = { keepVersions: 2_147_483, maxHold: 2_147_483, breakHolds: 0.1, bodyTimeout: 2_147_483, maxWait: 0 };
  const bytes = {
    copyBelow: 0,
    copyFirstBelow: 0,
    keepBytes: 1,
    maxPartial: 1,
    maxDigestBytes: 0,
    maxBytes: 2 ** 53 - 1,
  };
  const { app } = await start(t, { ...seconds, ...bytes, drain: 0 });
  assert.equal((await app.inject({ url: '/mine' })).statusCode, 200);
});

test('the engine can be chosen', async (t) => {
  const { app, port } = await start(t, { engine: 'stream' });
  const client = await RawClient.connect(t, port);
  client.get('/mine', '0-99');
  assert.equal((await client.response()).body.length, 100);
  const { stream, native } = carriedBy(app.pagerelay.relay);
  assert.deepEqual([stream, native], [100, 0]);
});

const preflight = {
  origin,
  'access-control-request-method': 'GET',
  'access-control-request-headers': 'range, if-range',
};

const listOf = (field: unknown) =>
  String(field ?? '')
    .toLowerCase()
    .split(/ *, */);

test('without cors a page of another origin is told nothing', async (t) => {
  const { app } = await start(t, {});
  const headers = await headersOf(app, '/regions/notes/todo.txt', { origin });
  assert.equal(headers['access-control-allow-origin'], undefined);
});

test('cors answers a preflight for a range', async (t) => {
  const { app } = await start(t, { cors: true, prefix: '/files' });
  for (const url of ['/files/regions/notes/todo.txt', '/files/regions']) {
    const { statusCode, headers } = await app.inject({ method: 'OPTIONS', url, headers: preflight });
    assert.equal(statusCode, 204);
    assert.ok(['*', origin].includes(String(headers['access-control-allow-origin'])));
    assert.deepEqual(listOf(headers['access-control-allow-methods']), ['get', 'head']);
    assert.deepEqual(listOf(headers['access-control-allow-headers']), ['range', 'if-range']);
  }
});

test('cors lets a page see what ranges need', async (t) => {
  const { app } = await start(t, { cors: true });
  for (const range of ['bytes=0-9', 'bytes=90000-']) {
    const headers = await headersOf(app, '/regions/notes/todo.txt', { origin, range });
    const exposed = listOf(headers['access-control-expose-headers']);
    for (const name of ['content-range', 'etag', 'accept-ranges', 'content-length']) {
      assert.ok(exposed.includes(name), `${name} with ${range}`);
    }
    assert.ok(['*', origin].includes(String(headers['access-control-allow-origin'])), range);
  }
});

test('cors takes the options of @fastify/cors', async (t) => {
  const { app } = await start(t, { cors: { origin: [origin], maxAge: 60, exposedHeaders: ['etag'] } });
  const { headers } = await app.inject({ method: 'OPTIONS', url: '/regions/notes/todo.txt', headers: preflight });
  assert.deepEqual([headers['access-control-allow-origin'], headers['access-control-max-age']], [origin, '60']);
  const other = await headersOf(app, '/regions/notes/todo.txt', { origin: 'https://other.example' });
  assert.equal(other['access-control-allow-origin'], undefined);
  assert.deepEqual(listOf((await headersOf(app, '/regions', { origin }))['access-control-expose-headers']), ['etag']);
});

test("cors stays with pagerelay's routes", async (t) => {
  const { app } = await start(t, { cors: true });
  assert.equal((await headersOf(app, '/mine', { origin }))['access-control-allow-origin'], undefined);
  assert.equal((await app.inject({ method: 'OPTIONS', url: '/mine', headers: preflight })).statusCode, 404);
});

test("an application's own @fastify/cors covers its routes and pagerelay's", async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'model.bin', 1000, 92);
  const app = fastify();
  t.after(() => app.close());
  await app.register(cors, { origin, exposedHeaders: ['content-range'] });
  await app.register(pagerelay, { ...quick, dir });
  app.get('/mine', (_, reply) => reply.sendRegion('model.bin'));
  for (const url of ['/mine', '/regions/model.bin']) {
    const headers = await headersOf(app, url, { origin, range: 'bytes=0-9' });
    assert.equal(headers['access-control-allow-origin'], origin, url);
    assert.equal(headers['access-control-expose-headers'], 'content-range', url);
    const answer = await app.inject({ method: 'OPTIONS', url, headers: preflight });
    assert.deepEqual([answer.statusCode, answer.headers['access-control-allow-origin']], [204, origin], url);
  }
});

test("cors can be on beside an application's own @fastify/cors", async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'model.bin', 1000, 93);
  const app = fastify();
  t.after(() => app.close());
  app.register(async (scope) => {
    await scope.register(cors, { origin });
    scope.get('/mine', async () => 'mine');
  });
  await app.register(pagerelay, { ...quick, dir, cors: { origin: 'https://reader.example' } });
  const regions = await headersOf(app, '/regions', { origin: 'https://reader.example' });
  assert.equal(regions['access-control-allow-origin'], 'https://reader.example');
  assert.equal((await headersOf(app, '/mine', { origin }))['access-control-allow-origin'], origin);
});

test('with keepVersions a version that was replaced is had by the plugin’s route, and by one’s own that names it', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const old = writeRegion(dir, 'model.bin', 1000, 94);
  const content = readFileSync(old.path);
  const { app } = await startApp(t, { dir, keepVersions: 3600 }, (app) => {
    app.get<{ Querystring: { tag: string } }>('/mine', ({ query }, reply) =>
      reply.sendRegion('model.bin', { version: query.tag }),
    );
  });
  const tag = String((await headersOf(app, '/regions/model.bin')).etag).slice(1, -1);
  renameSync(writeRegion(dir, 'next.bin', 1000, 95).path, old.path);
  for (const url of [`/regions/model.bin?version=${tag}`, `/mine?tag=${tag}`]) {
    const answer = await app.inject({ url });
    assert.ok(answer.statusCode === 200 && answer.rawPayload.equals(content), url);
  }
  assert.equal((await app.inject({ url: '/mine?tag=other' })).statusCode, 412);
});
