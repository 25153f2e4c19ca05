/** The plugin with `writable`: the same routes inside an application of somebody's own. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fastify, { type FastifyInstance } from 'fastify';
import { type PagerelayOptions, pagerelay } from '../../../src/plugin.ts';
import { listen, type RunningApp, startApp, untilNothingHeld } from '../../support/app.ts';
import { until } from '../../support/poll.ts';
import { RawClient } from '../../support/raw.ts';
import { seededBytes, sha256, writeRegion } from '../../support/regions.ts';
import { ask, change, codeOf, overwriting } from '../../support/requests.ts';
import { makeTree, put, read, refusalIn, send } from '../../support/writable.ts';

const mebibyte = 1 << 20;

type Started = RunningApp & { readonly dir: string };

async function start(
  t: TestContext,
  options: PagerelayOptions = {},
  build: (app: FastifyInstance) => unknown = () => {},
): Promise<Started> {
  const { dir, scope } = makeTree(t, 'tmpfs');
  return { ...(await startApp(scope, { dir, writable: true, ...options }, build)), dir };
}

test('regions are made, changed and removed below the prefix, and Location says so', async (t) => {
  const running = await start(t, { prefix: '/store/v1' });
  const path = '/store/v1/regions/a/b.bin';
  const client = await RawClient.connect(t, running.port);
  const body = seededBytes(100_000, 1);
  const made = await change(client, { method: 'PUT', path, body });
  assert.deepEqual([made.status, made.fields.get('location')], [201, path]);
  assert.equal((await change(client, overwriting(path, 10, Buffer.from('abc'), 5))).status, 204);
  body.write('abc', 10);
  assert.ok((await change(client, { method: 'GET', path })).body.equals(body));
  assert.ok(readFileSync(join(running.dir, 'a/b.bin')).equals(body));
  const json = { 'content-type': 'application/json' };
  const asked = Buffer.from('{"region":"a/b.bin","first":0,"last":9,"ttlSeconds":60}');
  const lease = await change(client, { method: 'POST', path: '/store/v1/leases', fields: json, body: asked });
  assert.equal(lease.status, 201);
  const address = lease.fields.get('location') ?? '';
  assert.match(address, /^\/store\/v1\/leases\/[\w-]+$/);
  assert.equal((await change(client, { method: 'DELETE', path: address })).status, 204);
  const resized = { 'content-type': 'application/merge-patch+json' };
  const resize = await change(client, { method: 'PATCH', path, fields: resized, body: Buffer.from('{"size":5}') });
  assert.equal(resize.status, 204);
  assert.equal((await change(client, { method: 'DELETE', path })).status, 204);
  ask(client, { method: 'PUT', path: '/regions/x', body: Buffer.from('x') });
  assert.equal((await client.response()).status, 404, 'nothing is there without the prefix');
  client.destroy();
});

test('without writable nothing can be changed', async (t) => {
  const running = await start(t, { writable: false });
  writeRegion(running.dir, 'file.bin', 100);
  for (const method of ['PUT', 'PATCH', 'DELETE']) {
    const answer = await send(t, running, { method, path: '/regions/file.bin', body: Buffer.from('x') });
    assert.deepEqual(refusalIn(answer), [405, 'method-not-allowed']);
  }
});

test('the application keeps its own parsers, limits and error answers', async (t) => {
  const running = await start(t, {}, (app) => {
    app.addContentTypeParser('text/x-mine', { parseAs: 'string' }, (_, body, done) => done(null, `mine ${body}`));
    app.setErrorHandler((error, _, reply) => {
      const status = (error as { statusCode?: number }).statusCode ?? 500;
      void reply.code(status).send({ mine: status });
    });
    app.post('/echo', async (request) => ({ got: request.body }));
  });
  const echo = (type: string, body: string) =>
    send(t, running, { method: 'POST', path: '/echo', fields: { 'content-type': type }, body: Buffer.from(body) });
  const textOf = async (type: string, body: string) => (await echo(type, body)).body.toString();
  assert.equal(await textOf('application/json', '{"a":1}'), '{"got":{"a":1}}');
  assert.equal(await textOf('text/x-mine', 'text'), '{"got":"mine text"}');
  assert.equal(await textOf('image/png', 'x'), '{"mine":415}');
  assert.equal(await textOf('application/json', JSON.stringify('x'.repeat(2 * mebibyte))), '{"mine":413}');
  const large = seededBytes(8 * mebibyte, 1);
  const fields = { 'content-type': 'text/x-mine' };
  const made = await send(t, running, { method: 'PUT', path: '/regions/large', fields, body: large });
  assert.equal(made.status, 201, 'a region may be larger than what the application takes, and of its types');
  assert.equal((await read(t, running, 'large')).sha256, sha256(large));
  const refused = await send(t, running, { method: 'PUT', path: '/regions/.pagerelay/bad', body: Buffer.from('x') });
  assert.deepEqual(refusalIn(refused), [400, 'bad-name']);
});

test('inject() makes, reads, changes and removes a region', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  const app = fastify();
  scope.after(() => app.close());
  await app.register(pagerelay, { dir, writable: true, lanes: 1, drain: 1 });
  const url = '/regions/file.bin';
  const made = await app.inject({ method: 'PUT', url, payload: Buffer.from('abcdef') });
  assert.deepEqual([made.statusCode, made.headers.location], [201, url]);
  assert.equal((await app.inject({ url })).body, 'abcdef');
  const headers = { 'content-range': 'bytes 1-2/*', expect: '100-continue' };
  const changed = await app.inject({ method: 'PUT', url, headers, payload: Buffer.from('XY') });
  assert.equal(changed.statusCode, 204);
  const got = await app.inject({ url, headers: { range: 'bytes=0-3' } });
  assert.deepEqual([got.body, got.headers.etag], ['aXYd', changed.headers.etag]);
  const refused = await app.inject({ method: 'PUT', url, headers: { 'if-none-match': '*' }, payload: 'x' });
  assert.deepEqual([refused.statusCode, codeOf({ body: refused.rawPayload })], [412, 'precondition-failed']);
  assert.equal((await app.inject({ method: 'DELETE', url })).statusCode, 204);
  assert.deepEqual(readdirSync(dir), ['.pagerelay']);
});

test('100 Continue is sent once', async (t) => {
  const running = await start(t);
  const client = await RawClient.connect(t, running.port);
  client.write('PUT /regions/x HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
  assert.equal((await client.response()).status, 100);
  client.write('abcde');
  assert.equal((await client.response()).status, 201);
  client.destroy();
});

test("the application's hooks decide who may write", async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  const app = fastify();
  app.addHook('onRequest', async (request, reply) => {
    if (request.method !== 'GET' && request.headers.authorization !== 'mine') return reply.code(403).send('no');
  });
  await app.register(pagerelay, { dir, writable: true, lanes: 1, drain: 1 });
  const port = await listen(scope, app);
  const path = '/regions/x';
  assert.equal((await send(t, { port }, { method: 'PUT', path, body: Buffer.from('x') })).status, 403);
  const fields = { authorization: 'mine' };
  assert.equal((await send(t, { port }, { method: 'PUT', path, fields, body: Buffer.from('x') })).status, 201);
});

test('closing waits for a change that is under way, and starts where that left off', async (t) => {
  const { dir, scope } = makeTree(t, 'ext4');
  let etag = '';
  for (let run = 0; run < 2; run++) {
    const app = fastify();
    await app.register(pagerelay, { dir, writable: true, lanes: 1, drain: 1 });
    const port = await listen(scope, app);
    if (run === 1) assert.equal((await read(t, { port }, 'x')).etag, etag);
    await put(t, { port }, 'x', seededBytes(mebibyte, run));
    const changes = [0, 1, 2].map((at) =>
      send(t, { port }, overwriting('/regions/x', at * 5000, seededBytes(5000, at), 5)),
    );
    const tags = (await Promise.all(changes)).map(({ fields }) => fields.get('etag'));
    etag = tags.sort().at(-1) ?? '';
    await until(async () => (await read(t, { port }, 'x')).etag === etag, 'it is at its last version');
    await untilNothingHeld(app.pagerelay.relay);
    await app.close();
  }
});
