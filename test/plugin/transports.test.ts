/** The same bytes where there is no plain TCP connection to send natively on: inject, TLS, HTTP/2. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { get } from 'node:https';
import type { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createGunzip, createGzip } from 'node:zlib';
import fastify, { type FastifyReply } from 'fastify';
import type { Pagerelay } from '../../src/pagerelay.ts';
import { pagerelay } from '../../src/plugin.ts';
import { carriedBy, type Listener, listen, quick, untilNothingHeld } from '../support/app.ts';
import { type Certificate, makeCertificate } from '../support/certificate.ts';
import { until } from '../support/poll.ts';
import { bytesOf, makeFolder, type RegionFile, writeRegion } from '../support/regions.ts';

const size = 5_000_000;

type Answer = { readonly status: number; readonly fields: Record<string, unknown>; readonly body: Buffer };
type Ask = (path: string, fields?: Record<string, string>, method?: string) => Promise<Answer>;
type Fixture = { readonly file: RegionFile; readonly opened: Pagerelay; readonly ask: Ask };

/** What a test needs of an application, whatever protocol its types are for. */
type AnyApp = Listener & {
  readonly pagerelay: Pagerelay;
  register(plugin: typeof pagerelay, options: object): PromiseLike<unknown>;
  addHook(
    name: 'onSend',
    hook: (request: { url: string }, reply: FastifyReply, payload: unknown) => Promise<unknown>,
  ): unknown;
  get(path: string, handler: (request: unknown, reply: FastifyReply) => unknown): unknown;
};

async function prepare(t: TestContext, app: unknown): Promise<{ app: AnyApp; file: RegionFile }> {
  const dir = makeFolder(t, 'tmpfs');
  const file = writeRegion(dir, 'model.bin', size, 101);
  const any = app as AnyApp;
  await any.register(pagerelay, { ...quick, dir });
  any.get('/mine', (_, reply) => reply.header('x-mine', 'yes').sendRegion('model.bin'));
  any.addHook('onSend', async (request, reply, payload) => {
    if (!request.url.includes('gzip')) return payload;
    reply.removeHeader('content-length');
    return (payload as NodeJS.ReadableStream).pipe(createGzip({ level: 1 }));
  });
  return { app: any, file };
}

async function overInject(t: TestContext): Promise<Fixture> {
  const app = fastify();
  t.after(() => app.close());
  const { file } = await prepare(t, app);
  const ask: Ask = async (url, headers = {}, method = 'GET') => {
    const answer = await app.inject({ url, headers, method: method as 'GET' });
    return { status: answer.statusCode, fields: answer.headers, body: answer.rawPayload };
  };
  return { file, opened: app.pagerelay, ask };
}

async function overTls(t: TestContext): Promise<Fixture> {
  const https = makeCertificate(t);
  const { app, file } = await prepare(t, fastify({ https }));
  const port = await listen(t, app);
  const ask: Ask = async (path, headers = {}, method = 'GET') => {
    const request = get({ host: '127.0.0.1', port, path, headers, method, ca: https.cert, agent: false });
    const [response] = await once(request, 'response');
    return { status: response.statusCode, fields: response.headers, body: await collect(response) };
  };
  return { file, opened: app.pagerelay, ask };
}

async function overHttp2(t: TestContext, certificate: Certificate | undefined): Promise<Fixture> {
  const options = certificate ? { http2: true as const, https: certificate } : { http2: true as const };
  const { app, file } = await prepare(t, fastify(options as { http2: true }));
  const port = await listen(t, app);
  const session = connectHttp2(`${certificate ? 'https' : 'http'}://localhost:${port}`, {
    ...(certificate ? { ca: certificate.cert } : {}),
    lookup: (_, __, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]),
  });
  t.after(() => session.destroy());
  const ask: Ask = (path, headers, method) => askHttp2(session, path, headers, method);
  return { file, opened: app.pagerelay, ask };
}

async function askHttp2(session: ClientHttp2Session, path: string, headers = {}, method = 'GET'): Promise<Answer> {
  const stream = session.request({ ':path': path, ':method': method, ...headers });
  const [fields] = (await once(stream, 'response')) as [Record<string, unknown>];
  return { status: Number(fields[':status']), fields, body: await collect(stream) };
}

async function collect(stream: Readable): Promise<Buffer> {
  return Buffer.concat((await stream.toArray()) as Buffer[]);
}

const transports: Record<string, (t: TestContext) => Promise<Fixture>> = {
  'app.inject()': overInject,
  HTTPS: overTls,
  'HTTP/2 over TLS': (t) => overHttp2(t, makeCertificate(t)),
  'HTTP/2 in clear text': (t) => overHttp2(t, undefined),
};

async function checkRanges({ file, ask }: Fixture): Promise<void> {
  for (const path of ['/regions/model.bin', '/mine']) {
    const whole = await ask(path);
    assert.deepEqual([whole.status, Number(whole.fields['content-length'])], [200, size]);
    assert.ok(whole.body.equals(bytesOf(file.path, 0, size - 1)));
    for (const [first, last] of [[0, 0] as const, [4095, 70_000] as const, [size - 9, size - 1] as const]) {
      const part = await ask(path, { range: `bytes=${first}-${last}` });
      assert.deepEqual([part.status, part.fields['content-range']], [206, `bytes ${first}-${last}/${size}`]);
      assert.ok(part.body.equals(bytesOf(file.path, first, last)), `${first}-${last}`);
    }
  }
  assert.equal((await ask('/mine', { range: 'bytes=0-0' })).fields['x-mine'], 'yes');
}

async function checkSeveralRanges({ file, ask }: Fixture): Promise<void> {
  const { status, fields, body } = await ask('/regions/model.bin', { range: 'bytes=0-9,100000-299999,-5' });
  const [, boundary = ''] = /boundary=(\w+)/.exec(String(fields['content-type'])) ?? [];
  assert.equal(status, 206);
  assert.equal(Number(fields['content-length']), body.length);
  const parts = [[0, 9] as const, [100_000, 299_999] as const, [size - 5, size - 1] as const].map(([first, last]) => {
    const head = `\r\n--${boundary}\r\ncontent-type: application/octet-stream\r\ncontent-range: bytes ${first}-${last}/${size}`;
    return Buffer.concat([Buffer.from(`${head}\r\n\r\n`), bytesOf(file.path, first, last)]);
  });
  assert.ok(body.equals(Buffer.concat([...parts, Buffer.from(`\r\n--${boundary}--\r\n`)])));
}

async function checkOthers({ ask }: Fixture): Promise<void> {
  const head = await ask('/regions/model.bin', {}, 'HEAD');
  assert.deepEqual([head.status, Number(head.fields['content-length']), head.body.length], [200, size, 0]);
  const etag = String(head.fields.etag);
  assert.equal((await ask('/regions/model.bin', { 'if-none-match': etag })).status, 304);
  assert.equal((await ask('/regions/model.bin', { 'if-match': '"no"' })).status, 412);
  assert.equal((await ask('/regions/model.bin', { range: `bytes=${size}-` })).status, 416);
  assert.equal((await ask('/regions/none')).status, 404);
}

async function checkTransformed({ file, ask }: Fixture): Promise<void> {
  const { body } = await ask('/mine?gzip', { range: 'bytes=5-1000000' });
  const unzip = createGunzip();
  unzip.end(body);
  assert.ok((await collect(unzip)).equals(bytesOf(file.path, 5, 1_000_000)));
}

const checks = {
  ranges: checkRanges,
  'several ranges': checkSeveralRanges,
  'HEAD, 304, 404, 412 and 416': checkOthers,
  'a transform': checkTransformed,
};

for (const [transport, start] of Object.entries(transports)) {
  test(`right by engine stream over ${transport}`, async (t) => {
    const fixture = await start(t);
    for (const [what, check] of Object.entries(checks)) await t.test(what, () => check(fixture));
    await untilNothingHeld(fixture.opened.relay);
    const { native, stream, inline, lane } = carriedBy(fixture.opened.relay);
    assert.deepEqual([native, inline, lane], [0, 0, 0], 'nothing was sent natively');
    assert.ok(stream > 2 * size, 'the bytes are counted as copied');
    assert.equal(fixture.opened.relay.counters().connections, 0);
  });
}

test('many streams of one HTTP/2 connection are right side by side', async (t) => {
  const { file, opened, ask } = await overHttp2(t, undefined);
  const fetchPart = async (_: unknown, at: number) => {
    const [first, last] = [at * 1001, at * 1001 + 200_000 + at];
    const { status, body } = await ask('/regions/model.bin', { range: `bytes=${first}-${last}` });
    assert.equal(status, 206);
    assert.ok(body.equals(bytesOf(file.path, first, last)), `stream ${at}`);
  };
  await Promise.all(Array.from({ length: 50 }, fetchPart));
  await untilNothingHeld(opened.relay);
});

test('an HTTP/2 stream that is cancelled in mid-body leaves no reference', async (t) => {
  const { app, file } = await prepare(t, fastify({ http2: true }));
  const port = await listen(t, app);
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  const stream = session.request({ ':path': '/regions/model.bin' });
  await once(stream, 'response');
  await until(() => app.pagerelay.relay.counters().references === 1, 'it is held');
  stream.on('error', () => {});
  stream.close(8); // CANCEL (RFC 9113 7)
  await untilNothingHeld(app.pagerelay.relay);
  const next = await askHttp2(session, '/regions/model.bin', { range: 'bytes=0-9' });
  assert.ok(next.body.equals(bytesOf(file.path, 0, 9)));
});

test('a TLS client that goes away in mid-body leaves no reference', async (t) => {
  const https = makeCertificate(t);
  const { app } = await prepare(t, fastify({ https }));
  const port = await listen(t, app);
  const socket = connectTls({ host: '127.0.0.1', port, ca: https.cert });
  socket.write('GET /regions/model.bin HTTP/1.1\r\nHost: test\r\n\r\n');
  await once(socket, 'readable');
  await until(() => app.pagerelay.relay.counters().references === 1, 'it is held');
  socket.destroy();
  await untilNothingHeld(app.pagerelay.relay);
});

test('an injected response can be read as a stream', async (t) => {
  const app = fastify();
  t.after(() => app.close());
  const { file } = await prepare(t, app);
  const answer = await app.inject({ url: '/regions/model.bin', payloadAsStream: true });
  assert.ok((await collect(answer.stream())).equals(bytesOf(file.path, 0, size - 1)));
});
