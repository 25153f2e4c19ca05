/** What registering pagerelay adds to an application, and to which part of it. */
import assert from 'node:assert/strict';
import { before, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fastify, { type FastifyInstance } from 'fastify';
import { type PagerelayOptions, pagerelay } from '../../src/plugin.ts';
import { carriedBy, listen, quick, startApp } from '../support/app.ts';
import { countOpen, untilClosed } from '../support/descriptors.ts';
import { countLanes } from '../support/lanes.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, type RegionFile, sha256OfFile, writeRegion } from '../support/regions.ts';
import { warmProcess } from '../support/warm-process.ts';

const mebibyte = 1 << 20;

before(warmProcess);

function makeFile(t: TestContext, size = 100_000, seed = 1): { file: RegionFile; dir: string } {
  const dir = makeFolder(t, 'tmpfs');
  return { file: writeRegion(dir, 'model.bin', size, seed), dir };
}

async function statusOf(app: FastifyInstance, url: string): Promise<number> {
  return (await app.inject({ url })).statusCode;
}

test('by default it adds the routes of regions, references and metrics', async (t) => {
  const { dir, file } = makeFile(t);
  const { port } = await startApp(t, { dir });
  const client = await RawClient.connect(t, port);
  client.get('/regions/model.bin', '100-299');
  const { status, body } = await client.response();
  assert.equal(status, 206);
  assert.ok(body.equals(bytesOf(file.path, 100, 299)));
  for (const url of ['/regions', '/references', '/metrics']) {
    client.get(url);
    assert.equal((await client.response()).status, 200, url);
  }
  client.destroy();
});

test('pipelined requests to its routes are begun one after the other', async (t) => {
  const { dir } = makeFile(t);
  const began: string[] = [];
  let isHeld = true;
  const { port } = await startApp(t, { dir }, (app) => {
    app.addHook('preHandler', async ({ url }) => void began.push(url));
    app.get('/held', async () => {
      while (isHeld) await turn();
      return 'x';
    });
  });
  const client = await RawClient.connect(t, port);
  for (const url of ['/held', '/metrics', '/regions', '/references']) client.get(url);
  await until(() => began.length > 0, 'the first is begun');
  for (let turns = 0; turns < 20; turns++) await turn();
  assert.deepEqual(began, ['/held'], 'the others wait for it');
  isHeld = false;
  for (let answers = 0; answers < 4; answers++) assert.equal((await client.response()).status, 200);
  assert.deepEqual(began, ['/held', '/metrics', '/regions', '/references']);
  client.destroy();
});

test('a request to its routes whose body stops coming is broken off', async (t) => {
  const { dir } = makeFile(t);
  const { port } = await startApp(t, { dir, writable: true, bodyTimeout: 0.2 });
  for (const request of ['PUT /regions/new.bin', 'PUT /regions/model.bin', 'POST /leases']) {
    const client = await RawClient.connect(t, port);
    const type = 'Content-Type: application/json\r\n';
    client.write(`${request} HTTP/1.1\r\nHost: localhost\r\n${type}Content-Length: 1000\r\n\r\n{`);
    assert.equal((await client.rest()).bytes, 0, request);
    client.destroy();
  }
});

test('with routes off it answers nothing of its own, and sendRegion is there', async (t) => {
  const { dir } = makeFile(t);
  const { app } = await startApp(t, { dir, routes: false }, (app) => {
    app.get('/mine', (_, reply) => reply.sendRegion('model.bin'));
  });
  for (const url of ['/regions', '/regions/model.bin', '/references', '/metrics']) {
    assert.equal(await statusOf(app, url), 404, url);
  }
  assert.equal(await statusOf(app, '/mine'), 200);
});

test('without files it serves the built-in region', async (t) => {
  const { app } = await startApp(t, {});
  const answer = await app.inject({ url: '/regions/demo', headers: { range: 'bytes=4096-4131' } });
  assert.equal(answer.body, 'pagerelay demo: page 1, bytes 4096-8');
});

test('a file of its own name is served beside a tree', async (t) => {
  const { dir, file } = makeFile(t);
  const other = writeRegion(makeFolder(t, 'tmpfs'), 'elsewhere', 500, 9);
  const { app } = await startApp(t, { dir, regions: [{ name: 'named/other', path: other.path }] });
  const answer = await app.inject({ url: '/regions/named/other' });
  assert.ok(answer.rawPayload.equals(bytesOf(other.path, 0, 499)));
  const clash = fastify().register(pagerelay, { ...quick, dir, regions: [{ name: 'model.bin', path: file.path }] });
  await assert.rejects(async () => clash.ready(), { name: 'NameClash' });
});

const prefixes: Record<string, { scope: string; prefix: string; path: string }> = {
  'its own': { scope: '', prefix: '/files', path: '/files/regions/model.bin' },
  "the surrounding scope's": { scope: '/api', prefix: '', path: '/api/regions/model.bin' },
  'both, one in the other': { scope: '/api', prefix: '/files', path: '/api/files/regions/model.bin' },
  'its own with a slash at its end': { scope: '', prefix: '/files/', path: '/files/regions/model.bin' },
  'a surrounding scope with a slash at its end': { scope: '/api/', prefix: '', path: '/api/regions/model.bin' },
};

for (const [what, { scope, prefix, path }] of Object.entries(prefixes)) {
  test(`regions are below the prefix: ${what}`, async (t) => {
    const { dir, file } = makeFile(t);
    const app = fastify();
    app.register(async (child) => void (await child.register(pagerelay, { ...quick, dir, prefix })), { prefix: scope });
    const port = await listen(t, app);
    const client = await RawClient.connect(t, port);
    client.get(path, '5-99');
    const { status, body } = await client.response();
    assert.equal(status, 206, `${path}: ${body.toString('utf8', 0, 300)}`);
    assert.ok(body.equals(bytesOf(file.path, 5, 99)));
    client.get(path.slice(0, path.indexOf('/model.bin')));
    const listed = JSON.parse((await client.response()).body.toString()) as { regions: { name: string }[] };
    assert.deepEqual(
      listed.regions.map(({ name }) => name),
      ['model.bin'],
    );
    if (scope + prefix !== '') assert.equal(await statusOf(app, '/regions/model.bin'), 404);
    client.destroy();
  });
}

test("a region's name may be longer than the router's parameters", async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const name = Array.from({ length: 8 }, (_, at) => `${at}`.repeat(100)).join('/');
  const file = writeRegion(dir, name, 1000, 3);
  const { app } = await startApp(t, { dir });
  const { statusCode, rawPayload } = await app.inject({ url: `/regions/${name}` });
  assert.equal(statusCode, 200);
  assert.ok(rawPayload.equals(bytesOf(file.path, 0, 999)));
});

async function startSiblings(t: TestContext) {
  const folders = { one: makeFolder(t, 'tmpfs'), two: makeFolder(t, 'tmpfs') };
  const files = {
    one: writeRegion(folders.one, 'model.bin', 6 * mebibyte, 11),
    two: writeRegion(folders.two, 'model.bin', 7 * mebibyte, 12),
  };
  const scopes: Partial<Record<keyof typeof files, FastifyInstance>> = {};
  const app = fastify();
  for (const name of ['one', 'two'] as const) {
    app.register(async (scope) => {
      await scope.register(pagerelay, { ...quick, dir: folders[name], prefix: `/${name}` });
      scopes[name] = scope;
    });
  }
  return { app, files, scopes, port: await listen(t, app) };
}

test('two in sibling scopes serve their own files on one connection', async (t) => {
  const { app, files, scopes, port } = await startSiblings(t);
  assert.equal(app.hasDecorator('pagerelay'), false, 'the root scope has none');
  const client = await RawClient.connect(t, port);
  for (let turn = 0; turn < 3; turn++) {
    for (const name of ['one', 'two'] as const) {
      for (const [first, last] of [[turn, 999] as const, [turn, files[name].size - 1] as const]) {
        client.get(`/${name}/regions/model.bin`, `${first}-${last}`);
        assert.equal((await client.head()).status, 206);
        const hash = await client.hash(last - first + 1);
        assert.equal(hash, sha256OfFile(files[name].path, first, last), `${name} ${first}-${last}`);
      }
    }
  }
  for (const scope of [scopes.one, scopes.two]) {
    assert.ok(scope);
    const { native, stream, inline, lane } = carriedBy(scope.pagerelay.relay);
    assert.ok(native > 18 * mebibyte, 'each sent its own natively');
    assert.deepEqual([stream, inline + lane], [0, 6]);
  }
  client.get('/one/regions/model.bin', '0-2999999', 'Connection: close\r\n');
  assert.equal((await client.head()).status, 206);
  const rest = await client.rest();
  assert.deepEqual(rest, { bytes: 3_000_000, sha256: sha256OfFile(files.one.path, 0, 2_999_999), error: undefined });
});

test('references of one instance are not shown by the other', async (t) => {
  const { app, port } = await startSiblings(t);
  const client = await RawClient.connect(t, port);
  client.get('/one/regions/model.bin');
  await client.head();
  const count = async (name: string) => {
    const answer = await app.inject({ url: `/${name}/references` });
    return (answer.json() as { references: unknown[] }).references.length;
  };
  assert.deepEqual([await count('one'), await count('two')], [1, 0]);
  client.destroy();
});

test('registering twice in one scope fails and says why, and leaves nothing open', async (t) => {
  const { dir } = makeFile(t);
  const opened = countOpen();
  const lanes = countLanes();
  const app = fastify();
  app.register(pagerelay, { ...quick, dir });
  app.register(pagerelay, { ...quick, dir, prefix: '/again' });
  await assert.rejects(async () => app.ready(), { code: 'FST_ERR_DEC_ALREADY_PRESENT', message: /pagerelay/ });
  await app.close();
  await untilClosed(opened);
  assert.ok(countLanes() <= lanes, 'no lane is left');
});

const mistakes: Record<string, { options: PagerelayOptions; error: object }> = {
  'a folder that is not there': { options: { dir: '/nowhere/none' }, error: { code: 'ENOENT' } },
  'a file that is not there': {
    options: { regions: [{ name: 'none', path: '/nowhere/none' }] },
    error: { code: 'ENOENT' },
  },
  'an address block that is none': { options: { unaskable: ['10.0.0.0'] }, error: { message: /10\.0\.0\.0/ } },
};

for (const [what, { options, error }] of Object.entries(mistakes)) {
  test(`registering fails and leaves nothing open: ${what}`, async () => {
    const opened = countOpen();
    const app = fastify().register(pagerelay, { ...quick, ...options });
    await assert.rejects(async () => app.ready(), error);
    await app.close();
    await untilClosed(opened);
  });
}
