/** reply.sendRegion in routes of an application: its headers, its hooks, and native bytes all the same. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { PagerelayOptions } from '../../src/plugin.ts';
import { carriedBy, type RunningApp, startApp, untilNothingHeld } from '../support/app.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, type RegionFile, sha256OfFile, writeRegion } from '../support/regions.ts';

const mebibyte = 1 << 20;
const size = 40 * mebibyte;

type Fixture = RunningApp & { readonly file: RegionFile; readonly client: RawClient };

async function start(
  t: TestContext,
  build: (app: FastifyInstance) => unknown,
  options: PagerelayOptions = {},
): Promise<Fixture> {
  const dir = makeFolder(t, 'tmpfs');
  const file = writeRegion(dir, 'model.bin', size, 71);
  const running = await startApp(t, { dir, routes: false, ...options }, build);
  return { ...running, file, client: await RawClient.connect(t, running.port) };
}

function serveModel(app: FastifyInstance): void {
  app.get('/model', (_, reply) => reply.sendRegion('model.bin'));
}

test("an application's headers are sent with the region", async (t) => {
  const { client, file, app } = await start(t, (app) => {
    app.addHook('onRequest', async (_, reply) => void reply.header('set-cookie', ['a=1', 'b=2']));
    app.addHook('preHandler', async (_, reply) => void reply.header('vary', 'origin'));
    app.addHook('onSend', async (_, reply) => void reply.header('x-sent', 'yes'));
    app.get('/model', (_, reply) => {
      reply.header('cache-control', 'private, max-age=60').header('x-custom', 'mine');
      reply.header('content-security-policy', "default-src 'self'").header('content-disposition', 'attachment');
      return reply.sendRegion('model.bin', { contentType: 'application/x-weights' });
    });
  });
  client.get('/model', '7-30006');
  const { status, fields, body } = await client.response();
  assert.equal(status, 206);
  assert.ok(body.equals(bytesOf(file.path, 7, 30_006)));
  const expected = {
    'set-cookie': 'b=2', // of two lines the last is kept in the map
    vary: 'origin',
    'x-sent': 'yes',
    'cache-control': 'private, max-age=60',
    'x-custom': 'mine',
    'content-security-policy': "default-src 'self'",
    'content-disposition': 'attachment',
    'content-type': 'application/x-weights',
    'x-content-type-options': 'nosniff',
    'content-length': '30000',
    'content-range': `bytes 7-30006/${size}`,
    'accept-ranges': 'bytes',
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(fields.get(name), value, name);
  assert.match(fields.get('etag') ?? '', /^"[^"]+"$/);
  const { native, stream, inline } = carriedBy(app.pagerelay.relay);
  assert.deepEqual([native, stream, inline], [30_000, 0, 1]);
});

test('both cookies of a hook arrive', async (t) => {
  const { port } = await start(t, (app) => {
    app.addHook('onRequest', async (_, reply) => void reply.header('set-cookie', ['a=1', 'b=2']));
    serveModel(app);
  });
  const { headers, body } = await fetch(`http://127.0.0.1:${port}/model`, { headers: { range: 'bytes=0-9' } });
  assert.deepEqual(headers.getSetCookie(), ['a=1', 'b=2']);
  await body?.cancel();
});

test('an entity-tag describes the bytes, so that of the region stands', async (t) => {
  const { client } = await start(t, (app) => {
    app.get('/model', (_, reply) => reply.header('etag', '"mine"').sendRegion('model.bin'));
  });
  client.get('/model', '0-0');
  const { fields } = await client.response();
  assert.notEqual(fields.get('etag'), '"mine"');
});

const hookNames = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'onSend', 'onResponse'] as const;

for (const [by, range] of [['the main thread', '0-99'] as const, ['a lane', undefined] as const]) {
  test(`every hook runs once, in order, when ${by} sends`, async (t) => {
    const ran: string[] = [];
    const { app, client } = await start(t, (app) => {
      for (const name of hookNames) app.addHook(name as 'onRequest', async () => void ran.push(name));
      serveModel(app);
    });
    client.get('/model', range);
    const { fields } = await client.head();
    if (!range) await until(() => carriedBy(app.pagerelay.relay).lane === 1, 'a lane has it');
    await client.hash(Number(fields.get('content-length')));
    await until(() => ran.includes('onResponse'), 'onResponse runs');
    assert.deepEqual(ran, hookNames);
    const { native, stream, inline, lane } = carriedBy(app.pagerelay.relay);
    assert.deepEqual([native, stream], [Number(fields.get('content-length')), 0]);
    assert.deepEqual([inline, lane], range ? [1, 0] : [0, 1]);
  });
}

test('onSend sees a stream as the payload, and reading nothing of it changes nothing', async (t) => {
  const seen: string[] = [];
  const { app, client, file } = await start(t, (app) => {
    app.addHook('onSend', async (_, reply, payload) => {
      const stream = payload as { pipe?: unknown; on?: unknown };
      seen.push(typeof stream.pipe, typeof stream.on, String(reply.getHeader('content-length')));
      return payload;
    });
    serveModel(app);
  });
  client.get('/model', '1-1000');
  assert.ok((await client.response()).body.equals(bytesOf(file.path, 1, 1000)));
  assert.deepEqual(seen, ['function', 'function', '1000']);
  assert.equal(carriedBy(app.pagerelay.relay).native, 1000);
});

type Ended = { elapsed: number; status: number; length: unknown };

function watchResponses(app: FastifyInstance): Ended[] {
  const ended: Ended[] = [];
  app.addHook('onResponse', async (_, reply: FastifyReply) => {
    const { elapsedTime: elapsed, statusCode: status } = reply;
    ended.push({ elapsed, status, length: reply.getHeader('content-length') });
  });
  return ended;
}

test('onResponse comes after the whole body of a slow reader, and its time covers it', async (t) => {
  let ended: Ended[] = [];
  const { app, client, file } = await start(t, (app) => {
    ended = watchResponses(app);
    serveModel(app);
  });
  client.get('/model');
  assert.equal((await client.head()).status, 200);
  const began = performance.now();
  await until(() => performance.now() - began > 100, 'the reader is slow');
  assert.deepEqual(ended, [], 'the body is not through');
  assert.equal(carriedBy(app.pagerelay.relay).lane, 1);
  const waited = performance.now() - began;
  assert.equal(await client.hash(size), sha256OfFile(file.path, 0, size - 1));
  await until(() => ended.length === 1, 'onResponse runs');
  const [{ elapsed, status, length } = { elapsed: 0, status: 0, length: 0 }] = ended;
  assert.deepEqual([status, Number(length)], [200, size]);
  assert.ok(elapsed >= waited, `${elapsed} ms cover the ${waited} ms that the reader waited`);
});

test('onResponse tells the length of each pipelined response', async (t) => {
  let ended: Ended[] = [];
  const { client, file } = await start(t, (app) => {
    ended = watchResponses(app);
    serveModel(app);
  });
  const lengths = [10, 3 * mebibyte, 1, 2 * mebibyte];
  for (const length of lengths) client.get('/model', `5-${4 + length}`);
  for (const length of lengths) {
    assert.equal((await client.head()).status, 206);
    assert.equal(await client.hash(length), sha256OfFile(file.path, 5, 4 + length));
  }
  await until(() => ended.length === lengths.length, 'all have ended');
  assert.deepEqual(
    ended.map(({ length }) => Number(length)),
    lengths,
  );
});

type LogLine = { msg: string; res?: { statusCode: number }; responseTime?: number };

test("the application's own log line has the status, and a time that covers the body", async (t) => {
  const lines: LogLine[] = [];
  const stream = { write: (line: string) => void lines.push(JSON.parse(line) as LogLine) };
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'model.bin', size, 72);
  const { port } = await startApp(t, { dir, routes: false }, serveModel, { logger: { level: 'info', stream } });
  const client = await RawClient.connect(t, port);
  client.get('/model', `0-${size - 2}`);
  await client.head();
  const began = performance.now();
  await until(() => performance.now() - began > 100, 'the reader is slow');
  const completed = () => lines.filter(({ msg }) => msg === 'request completed');
  assert.equal(completed().length, 0);
  const waited = performance.now() - began;
  await client.hash(size - 1);
  await until(() => completed().length === 1, 'the line is written');
  const [line] = completed();
  assert.equal(line?.res?.statusCode, 206);
  assert.ok((line?.responseTime ?? 0) >= waited, `${line?.responseTime} ms cover ${waited} ms`);
});

test('a HEAD of a GET route tells what GET would send', async (t) => {
  const { client } = await start(t, serveModel);
  client.write('HEAD /model HTTP/1.1\r\nHost: test\r\n\r\n');
  const { status, fields } = await client.response('HEAD');
  assert.equal(status, 200);
  assert.equal(fields.get('content-length'), String(size));
});

test('a conditional request to a route of the application is answered by 304', async (t) => {
  const { client, app } = await start(t, serveModel);
  client.get('/model', '0-0');
  const etag = (await client.response()).fields.get('etag') ?? '';
  client.get('/model', undefined, `If-None-Match: ${etag}\r\n`);
  const { status, fields } = await client.response();
  assert.deepEqual([status, fields.get('etag'), fields.has('content-length')], [304, etag, false]);
  await untilNothingHeld(app.pagerelay.relay);
  assert.equal(carriedBy(app.pagerelay.relay).native, 1);
});

// What stands in the answer to a route that sets fields by every means, but for its time.
async function answerWith(t: TestContext, build: (app: FastifyInstance) => unknown) {
  const { client, app } = await start(t, async (app) => {
    await build(app);
    app.addHook(
      'onRequest',
      async (_, reply) => void reply.header('vary', 'Origin').header('set-cookie', ['a=1', 'b=2']),
    );
    app.get('/model', (_, reply) => {
      reply.raw.setHeader('x-raw', 'raw');
      reply.header('X-Custom', 'mine').header('cache-control', 'private').header('etag', '"mine"');
      return reply.header('content-length', '7').sendRegion('model.bin', { contentDisposition: 'inline' });
    });
  });
  client.get('/model', '3-1002');
  const { status, fields, body } = await client.response();
  assert.equal(carriedBy(app.pagerelay.relay).native, 1000);
  return { status, fields: [...fields].filter(([name]) => name !== 'date'), body: body.toString('hex') };
}

test('an answer is the same whether or not a hook sees its payload', async (t) => {
  const seen = await answerWith(t, (app) => app.addHook('onSend', async (_request, _reply, payload) => payload));
  const unseen = await answerWith(t, () => {});
  const etag = (name: string) => name === 'etag' || name === 'last-modified'; // of two files
  const comparable = ({ fields, ...others }: typeof seen) => ({
    ...others,
    fields: fields.filter(([name]) => !etag(name)),
  });
  assert.deepEqual(comparable(unseen), comparable(seen));
});

test('a region that is sent after another answer leaves that answer as it is', async (t) => {
  const { client, app } = await start(t, (app) => {
    app.get('/model', (_, reply) => {
      void reply.send('first');
      return reply.sendRegion('model.bin');
    });
  });
  for (let request = 0; request < 2; request++) {
    client.get('/model', '0-9');
    assert.equal((await client.response()).body.toString(), 'first');
  }
  await untilNothingHeld(app.pagerelay.relay);
});

test('several ranges go out natively as one body', async (t) => {
  const { client, app, file } = await start(t, serveModel);
  client.get('/model', '0-9,5000-5009,9000000-9000099');
  const { status, fields, body } = await client.response();
  assert.equal(status, 206);
  assert.match(fields.get('content-type') ?? '', /^multipart\/byteranges; boundary=/);
  for (const [first, last] of [[0, 9] as const, [5000, 5009] as const, [9_000_000, 9_000_099] as const]) {
    assert.ok(body.includes(bytesOf(file.path, first, last)), `${first}-${last}`);
  }
  assert.equal(carriedBy(app.pagerelay.relay).native, body.length);
});

test('sendRegion can be awaited, and then the body has been sent', async (t) => {
  const order: string[] = [];
  const { client } = await start(t, (app) => {
    app.addHook('onResponse', async () => void order.push('response'));
    app.get('/model', async (_, reply) => {
      await reply.sendRegion('model.bin');
      order.push('awaited');
    });
  });
  client.get('/model');
  const { fields } = await client.head();
  assert.deepEqual(order, []);
  await client.hash(Number(fields.get('content-length')));
  await until(() => order.length === 2, 'both have run');
});

test('a handler may do other things first, and serve in place of what is not found', async (t) => {
  const { client, file } = await start(t, (app) => {
    app.setNotFoundHandler(async (_, reply) => {
      await new Promise((resolve) => setImmediate(resolve));
      return reply.sendRegion('model.bin');
    });
  });
  client.get('/anything', '3-5');
  const { status, body } = await client.response();
  assert.equal(status, 206);
  assert.ok(body.equals(bytesOf(file.path, 3, 5)));
});

test('a client that goes away in mid-body leaves no reference', async (t) => {
  let ended: Ended[] = [];
  const { client, app, port, file } = await start(t, (app) => {
    ended = watchResponses(app);
    serveModel(app);
  });
  client.get('/model');
  await client.take(mebibyte);
  client.destroy();
  await untilNothingHeld(app.pagerelay.relay);
  const next = await RawClient.connect(t, port);
  next.get('/model', '9-99');
  assert.ok((await next.response()).body.equals(bytesOf(file.path, 9, 99)));
  assert.ok(ended.every(({ elapsed }) => elapsed >= 0));
});
