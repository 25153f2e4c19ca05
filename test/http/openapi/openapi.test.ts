/** `/openapi.json` is valid, describes every route, and every answer is as it says. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { until } from '../../support/poll.ts';
import { RawClient } from '../../support/raw.ts';
import { makeFolder, writeRegion } from '../../support/regions.ts';
import { startService } from '../../support/service.ts';
import { startWritable } from '../../support/writable.ts';
import { type Answered, type Asked, ask } from './ask.ts';
import { Conformance, type Document } from './conformance.ts';

/** What no client can bring about here: files that root may not read; an answer to someone who is gone. */
const unreachable = ['GET /regions/{name} 403', 'PUT /regions/{name} 408'];

const mebibyte = 1 << 20;

/** A request by the address that it is described under, and the status that it gets. */
type Case = Asked & { readonly at?: string; readonly status: number };

async function documentOf(port: number): Promise<Document> {
  return JSON.parse((await ask(port, { path: '/openapi.json' })).body.toString()) as Document;
}

async function check(conformance: Conformance, port: number, asked: Case): Promise<Answered> {
  const { method = 'GET', path, at = path, status } = asked;
  const answered = await ask(port, asked);
  const what = `${method} ${path}: ${answered.body.toString().slice(0, 300)}`;
  assert.equal(answered.status, status, what);
  conformance.check(method, at, answered);
  const isHeadOther = status === 206 || status === 416 || at === '/page/live';
  if (method === 'GET' && !isHeadOther) conformance.check('HEAD', at, await ask(port, { ...asked, method: 'HEAD' }));
  return answered;
}

const region = (name: string) => ({ at: '/regions/{name}', path: `/regions/${name}` });
const json = (value: unknown) => ({ fields: { 'content-type': 'application/json' }, body: JSON.stringify(value) });
const patch = (body: string) => ({ fields: { 'content-type': 'application/merge-patch+json' }, body });
const lease = { region: 'a.bin', first: 0, last: 4095, ttlSeconds: 60 };
const sha256 = (text: string) => `sha-256=:${createHash('sha256').update(text).digest('base64')}:`;
const now = { prefer: 'wait=0' };

const reading: readonly Case[] = [
  { ...region('a.bin'), status: 200 },
  { ...region('a.bin'), fields: { 'want-repr-digest': 'sha-256=1' }, status: 200 },
  { ...region('empty'), status: 200 },
  { ...region('a.bin'), fields: { range: 'bytes=10-99' }, status: 206 },
  { ...region('folder/b.bin'), fields: { range: 'bytes=0-0,-5' }, status: 206 },
  { ...region('a.bin'), fields: { 'if-none-match': '*' }, status: 304 },
  { ...region('none'), status: 404 },
  { ...region('a.bin?version=other'), status: 412 },
  { ...region('a.bin?version=1&version=2'), status: 400 },
  { ...region('a.bin'), fields: { 'if-match': '"other"' }, status: 412 },
  { ...region('a.bin'), fields: { range: `bytes=${mebibyte}-` }, status: 416 },
  { path: '/regions', status: 200 },
  { at: '/regions', path: '/regions?limit=2&prefix=a&after=0', status: 200 },
  { at: '/regions', path: '/regions?limit=1', status: 200 },
  { at: '/regions', path: '/regions?limit=0', status: 400 },
  { path: '/references', status: 200 },
  { at: '/references', path: '/references?region=a.bin', status: 200 },
  { at: '/references', path: '/references?limit=1&after=0', status: 200 },
  { at: '/references', path: '/references?prefix=a', status: 400 },
  { path: '/metrics', status: 200 },
  { path: '/metrics', fields: { accept: 'application/openmetrics-text; version=1.0.0' }, status: 200 },
  { path: '/leases', status: 200 },
  { at: '/leases', path: '/leases?limit=1&after=x', status: 200 },
  { at: '/leases', path: '/leases?limit=', status: 400 },
  { path: '/healthz', status: 200 },
  { path: '/readyz', status: 200 },
  { path: '/page/live', status: 200 },
];

const putting: readonly Case[] = [
  { ...region('new.bin'), body: 'new', fields: { 'repr-digest': sha256('new') }, status: 201 },
  { ...region('new.bin'), body: 'newer', status: 204 },
  { ...region('new.bin'), body: 'N', fields: { 'content-range': 'bytes 0-0/*', ...now }, status: 204 },
  { ...region('.pagerelay'), body: 'x', status: 400 },
  { ...region('new.bin'), body: 'xy', fields: { 'content-range': 'bytes 0-0/*' }, status: 400 },
  { ...region('new.bin'), body: 'x', fields: { 'content-digest': 'sha-256=:AA==:' }, status: 400 },
  { ...region('new.bin'), body: 'x', fields: { 'content-digest': sha256('y') }, status: 400 },
  { ...region('new.bin'), body: 'x', fields: { 'content-type': 'nonsense' }, status: 400 },
  { ...region('none'), body: 'x', fields: { 'content-range': 'bytes 0-0/*' }, status: 404 },
  { ...region('fixed'), body: 'x', status: 405 },
  { ...region('new.bin/below'), body: 'x', status: 409 },
  { ...region('leased.bin'), body: 'x', fields: { 'content-range': 'bytes 0-0/*', ...now }, status: 409 },
  { ...region('a.bin'), body: 'x', fields: { 'if-none-match': '*' }, status: 412 },
  { ...region('a.bin'), body: Buffer.alloc(5000), fields: { 'content-range': 'bytes 0-4999/*' }, status: 413 },
  { ...region('a.bin'), body: 'x', fields: { 'content-encoding': 'gzip' }, status: 415 },
  { ...region('new.bin'), body: 'x', fields: { 'content-range': 'bytes 99-99/*' }, status: 416 },
  { ...region('large'), body: Buffer.alloc(30 * mebibyte), status: 507 },
];

const patching: readonly Case[] = [
  { ...region('new.bin'), ...patch('{"size":3}'), status: 204 },
  { ...region('.pagerelay'), ...patch('{"size":3}'), status: 400 },
  { ...region('new.bin'), ...patch('{"size":-3}'), status: 400 },
  { ...region('none'), ...patch('{"size":3}'), status: 404 },
  { ...region('fixed'), ...patch('{"size":3}'), status: 405 },
  {
    ...region('leased.bin'),
    body: '{"size":100}',
    fields: { 'content-type': 'application/merge-patch+json', ...now },
    status: 409,
  },
  {
    ...region('a.bin'),
    body: '{"size":3}',
    fields: { 'content-type': 'application/merge-patch+json', 'if-match': '"other"' },
    status: 412,
  },
  { ...region('a.bin'), ...patch(`{"size":3${' '.repeat(20_000)}}`), status: 413 },
  { ...region('a.bin'), ...json({ size: 3 }), status: 415 },
  { ...region('new.bin'), ...patch(`{"size":${30 * mebibyte}}`), status: 507 },
];

const deleting: readonly Case[] = [
  { ...region('.pagerelay'), status: 400 },
  { ...region('none'), status: 404 },
  { ...region('fixed'), status: 405 },
  { ...region('new.bin'), fields: { 'if-match': '"other"' }, status: 412 },
  { ...region('new.bin'), status: 204 },
];

const leasing: readonly Case[] = [
  { path: '/leases', ...json({ ...lease, ttlSeconds: 0 }), status: 400 },
  { path: '/leases', ...json({ ...lease, region: '..' }), status: 400 },
  { path: '/leases', ...json({ ...lease, region: 'none' }), status: 404 },
  {
    path: '/leases',
    body: JSON.stringify({ ...lease, region: 'leased.bin' }),
    fields: { 'content-type': 'application/json', ...now },
    status: 409,
  },
  { path: '/leases', ...json({ ...lease, owner: 'x'.repeat(20_000) }), status: 413 },
  { path: '/leases', body: 'x', fields: { 'content-type': 'text/plain' }, status: 415 },
  { path: '/leases', ...json({ ...lease, first: mebibyte, last: mebibyte }), status: 416 },
];

async function checkLease(conformance: Conformance, port: number): Promise<void> {
  const taken = await check(conformance, port, { method: 'POST', path: '/leases', ...json(lease), status: 201 });
  await check(conformance, port, { path: '/leases', status: 200 });
  const { id } = JSON.parse(taken.body.toString()) as { id: string };
  const one = { at: '/leases/{id}', path: `/leases/${id}` };
  const renewal = json({ ttlSeconds: 30 });
  await check(conformance, port, { ...one, method: 'PUT', ...renewal, status: 200 });
  await check(conformance, port, { ...one, method: 'PUT', ...json({ ttlSeconds: 1e9 }), status: 400 });
  await check(conformance, port, { ...one, method: 'PUT', ...json(' '.repeat(20_000)), status: 413 });
  await check(conformance, port, { ...one, method: 'PUT', body: 'x', fields: { 'content-type': 'a/b' }, status: 415 });
  await check(conformance, port, { ...one, method: 'DELETE', status: 204 });
  await check(conformance, port, { ...one, method: 'DELETE', status: 404 });
  await check(conformance, port, { ...one, method: 'PUT', ...renewal, status: 404 });
}

/** A service with regions of every kind that the cases ask for. */
async function startFull(t: TestContext, options = {}) {
  const elsewhere = writeRegion(makeFolder(t, 'tmpfs'), 'fixed', 100);
  const running = await startWritable(t, 'tmpfs', {
    regions: [{ name: 'fixed', path: elsewhere.path }],
    maxPartial: 4096,
    maxBytes: 24 * mebibyte,
    ...options,
  });
  for (const name of ['a.bin', 'folder/b.bin', 'leased.bin']) writeRegion(running.dir, name, mebibyte);
  writeRegion(running.dir, 'held.bin', 16 * mebibyte);
  writeFileSync(join(running.dir, 'empty'), '');
  return running;
}

/** The described addresses, with something in the place of what is named. */
const pathsOf = ({ paths }: Document) =>
  Object.keys(paths).map((at) => ({ at, path: at.replace('{name}', 'a.bin').replace('{id}', 'x') }));

test('the document is valid OpenAPI 3.1', async (t) => {
  const { port } = await startFull(t);
  const document = await documentOf(port);
  assert.equal(document.openapi, '3.1.0');
  assert.deepEqual(await new Validator().validate(structuredClone(document)), { valid: true });
  const operations = Object.values(document.paths).flatMap((item) => Object.values(item));
  assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length);
});

test('every route is described, and no other', async (t) => {
  const { port, service } = await startFull(t);
  const { paths } = await documentOf(port);
  for (const [path, item] of Object.entries(paths)) {
    const url = path.replace('{name}', '*').replace('{id}', ':id');
    const answered = await ask(port, { method: 'OPTIONS', path: url.replace('*', 'a.bin').replace(':id', 'x') });
    const allowed = answered.fields.allow?.split(', ').map((method) => method.toLowerCase());
    assert.deepEqual(Object.keys(item).sort(), allowed?.sort(), path);
    for (const method of Object.keys(item)) {
      // Of the page's files, one route answers OPTIONS.
      const one = method === 'options' && url.startsWith('/page/') ? '/page/:file' : url;
      assert.ok(service.app.hasRoute({ method: method.toUpperCase() as 'GET', url: one }), `${method} ${path}`);
    }
  }
  const described = ['/', '/healthz', '/leases', '/leases/{id}', '/metrics', '/openapi.json', '/readyz', '/references'];
  const others = Object.keys(paths).filter((path) => !path.startsWith('/page/'));
  assert.deepEqual(others.sort(), [...described, '/regions', '/regions/{name}']);
});

test('every answer is as it is described, and every status that is described is answered', async (t) => {
  const { port } = await startFull(t);
  const document = await documentOf(port);
  const conformance = new Conformance(document);
  const reader = await RawClient.connect(t, port);
  reader.get('/regions/held.bin');
  await check(conformance, port, {
    method: 'POST',
    path: '/leases',
    ...json({ ...lease, region: 'leased.bin' }),
    status: 201,
  });
  for (const each of reading) await check(conformance, port, each);
  for (const each of putting) await check(conformance, port, { method: 'PUT', ...each });
  for (const each of patching) await check(conformance, port, { method: 'PATCH', ...each });
  for (const each of deleting) await check(conformance, port, { method: 'DELETE', ...each });
  for (const each of leasing) await check(conformance, port, { method: 'POST', ...each });
  await checkLease(conformance, port);
  await checkFixed(conformance, port, document);
  await checkEveryOperation(conformance, port, document, { host: 'evil.example' }, 421);
  await checkRefused(conformance, t);
  await checkLimited(conformance, t, document);
  await checkDraining(conformance, t);
  await checkViewers(conformance, t, port);
  for (const { at, path } of pathsOf(document))
    conformance.check('OPTIONS', at, await ask(port, { method: 'OPTIONS', path }));
  assert.deepEqual(conformance.unseen(['GET', 'PUT', 'PATCH', 'POST', 'DELETE', 'OPTIONS']), unreachable);
});

async function checkFixed(conformance: Conformance, port: number, document: Document): Promise<void> {
  for (const { path } of pathsOf(document).filter(({ path }) => /^\/(?:$|page\/(?!live$)|openapi)/.test(path))) {
    await check(conformance, port, { path, status: 200 });
    await check(conformance, port, { path, fields: { 'if-none-match': '*' }, status: 304 });
    await check(conformance, port, { path, fields: { 'if-match': '"other"' }, status: 412 });
  }
}

async function checkEveryOperation(
  conformance: Conformance,
  port: number,
  document: Document,
  fields: Record<string, string>,
  status: number,
): Promise<void> {
  for (const { at, path } of pathsOf(document)) {
    for (const [method, { responses }] of Object.entries(document.paths[at] ?? {})) {
      if (!(status in responses) || method === 'head') continue;
      await check(conformance, port, { method: method.toUpperCase(), at, path, fields, status });
    }
  }
}

// A second may pass between two requests on a busy machine: then another one is too often.
async function checkLimited(conformance: Conformance, t: TestContext, document: Document): Promise<void> {
  const { port } = await startFull(t, { requestsPerSecond: 1, requestBurst: 1 });
  for (const { at, path } of pathsOf(document)) {
    for (const [operation, { responses }] of Object.entries(document.paths[at] ?? {})) {
      const method = operation.toUpperCase();
      if (!('429' in responses) || method === 'HEAD') continue;
      await until(async () => {
        const answer = await ask(port, { method, path });
        if (answer.status === 429) conformance.check(method, at, answer);
        return answer.status === 429;
      }, `${method} ${path} is too often`);
    }
  }
}

async function checkRefused(conformance: Conformance, t: TestContext): Promise<void> {
  const readTokenFile = join(makeFolder(t, 'ext4'), 'tokens');
  writeFileSync(readTokenFile, 'secret\n');
  const { port } = await startFull(t, { readTokenFile });
  await checkEveryOperation(conformance, port, await documentOf(port), {}, 401);
}

async function checkDraining(conformance: Conformance, t: TestContext): Promise<void> {
  // Without lanes: that Node has read half of a request can be seen.
  const { port, close, dir, service } = await startFull(t, { drain: 10, express: false });
  writeRegion(dir, 'a.bin', mebibyte);
  const reader = await RawClient.connect(t, port);
  reader.get('/regions/held.bin');
  await reader.head();
  const asked = [
    ['GET', '/regions/{name}'],
    ['PUT', '/regions/{name}'],
    ['PATCH', '/regions/{name}'],
    ['DELETE', '/regions/{name}'],
    ['GET', '/regions'],
    ['POST', '/leases'],
    ['GET', '/readyz'],
  ] as const;
  const sockets: Socket[] = [];
  service.app.server.on('connection', (socket) => sockets.push(socket));
  const bytesRead = () => sockets.reduce((sum, socket) => sum + socket.bytesRead, 0);
  // Each on a connection of its own that is open, and in a request, when the drain begins.
  const clients = await Promise.all(asked.map(() => RawClient.connect(t, port)));
  for (const client of clients) client.get('/healthz');
  for (const client of clients) assert.equal((await client.response()).status, 200, 'Node has it');
  let due = bytesRead();
  for (const [at, client] of clients.entries()) {
    const [method, path] = asked[at] ?? assert.fail();
    const half = `${method} ${path.replace('{name}', 'a.bin')} HTTP/1.1\r\nHost: localhost\r\n`;
    client.write(half);
    due += half.length;
  }
  // Node's parser has what is read in the same turn.
  await until(
    () => bytesRead() === due,
    'Node has half of each request',
    () => ({ due, read: bytesRead(), connections: sockets.length }),
  );
  const closing = close();
  for (const [at, client] of clients.entries()) {
    const [method, path] = asked[at] ?? assert.fail();
    client.write('\r\n');
    const { status, fields, body } = await client.response();
    assert.equal(status, 503, `${method} ${path}`);
    conformance.check(method, path, { status, fields: Object.fromEntries(fields), body });
    client.destroy();
  }
  reader.destroy();
  await closing;
}

const mostViewers = 64;

async function checkViewers(conformance: Conformance, t: TestContext, port: number): Promise<void> {
  const viewers: RawClient[] = [];
  // One from before may be counted at first: that it has gone is noticed when something is written to it.
  for (let status = 200; status === 200 && viewers.length <= 2 * mostViewers; ) {
    const viewer = await RawClient.connect(t, port);
    viewers.push(viewer);
    viewer.get('/page/live');
    const head = await viewer.head();
    status = head.status;
    if (status !== 503) continue;
    const body = await viewer.take(Number(head.fields.get('content-length')));
    conformance.check('GET', '/page/live', { status, fields: Object.fromEntries(head.fields), body });
  }
  assert.ok(viewers.length <= 2 * mostViewers, 'there is a limit');
  for (const viewer of viewers) viewer.destroy();
}

test('what an address does not answer is a problem document with Allow', async (t) => {
  const { port } = await startFull(t);
  const document = await documentOf(port);
  const conformance = new Conformance(document);
  for (const { at, path } of pathsOf(document)) {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'QUERY'].filter(
      (each) => !(each.toLowerCase() in (document.paths[at] ?? {})),
    )) {
      const answered = await ask(port, { method, path });
      assert.equal(answered.status, 405, `${method} ${path}`);
      assert.notEqual(answered.fields.allow, undefined);
      conformance.checkProblem(answered);
    }
  }
  const unknown = await ask(port, { path: '/nowhere' });
  assert.equal(unknown.status, 404);
  conformance.checkProblem(unknown);
});

test('a service that is only read describes only reading', async (t) => {
  const { port } = await startService(t);
  const { paths } = await documentOf(port);
  assert.deepEqual(Object.keys(paths['/regions/{name}'] ?? {}).sort(), ['get', 'head', 'options']);
  assert.equal(paths['/leases'], undefined);
});
