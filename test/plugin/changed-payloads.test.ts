/** onSend hooks that replace, wrap or reframe a region's body: right bytes, and no reference left. */
import assert from 'node:assert/strict';
import { PassThrough, pipeline, Readable, type Transform } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { createGzip, gunzipSync } from 'node:zlib';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { carriedBy, type RunningApp, startApp, untilNothingHeld } from '../support/app.ts';
import { until } from '../support/poll.ts';
import { EndedEarly, RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, type RegionFile, sha256OfFile, writeRegion } from '../support/regions.ts';

const mebibyte = 1 << 20;
const size = 12 * mebibyte;

type Fixture = RunningApp & { readonly file: RegionFile; readonly client: RawClient };

async function start(t: TestContext, build: (app: FastifyInstance) => unknown): Promise<Fixture> {
  const dir = makeFolder(t, 'tmpfs');
  const file = writeRegion(dir, 'model.bin', size, 73);
  const running = await startApp(t, { dir, routes: false }, async (app) => {
    await build(app);
    app.get('/model', (_, reply) => reply.sendRegion('model.bin'));
    app.get('/other', async () => 'other');
  });
  return { ...running, file, client: await RawClient.connect(t, running.port) };
}

/** What a hook makes of the payload of a region's answer; other answers stay. */
function changing(change: (payload: Readable, reply: FastifyReply) => unknown) {
  return (app: FastifyInstance) =>
    app.addHook('onSend', async (_, reply, payload) =>
      payload instanceof Readable ? change(payload, reply) : payload,
    );
}

/** Reads `Transfer-Encoding: chunked` (RFC 9112 7.1) to its end. */
async function takeChunked(client: RawClient): Promise<{ body: Buffer; trailers: string }> {
  const parts: Buffer[] = [];
  for (;;) {
    const length = Number.parseInt(await takeLine(client), 16);
    if (length === 0) break;
    parts.push(await client.take(length));
    assert.equal(await takeLine(client), '');
  }
  let trailers = '';
  for (let line = await takeLine(client); line !== ''; line = await takeLine(client)) trailers += line;
  return { body: Buffer.concat(parts), trailers };
}

async function takeLine(client: RawClient): Promise<string> {
  let line = '';
  while (!line.endsWith('\r\n')) {
    line += (await client.take(1)).toString('latin1');
    if (line.length > 200) throw new Error(`no line: ${JSON.stringify(line)}`);
  }
  return line.slice(0, -2);
}

async function checkNext({ client }: Fixture): Promise<void> {
  client.get('/other');
  assert.equal((await client.response()).body.toString(), 'other', 'the connection goes on');
}

const transforms: Record<string, (payload: Readable) => Readable> = {
  'pipe to zlib': (payload) => payload.pipe(createGzip({ level: 1 })),
  'pipeline to zlib': (payload) => pipeline(payload, createGzip({ level: 1 }), () => {}) as Transform,
  'read by an iterator': (payload) => Readable.from(payload).pipe(createGzip({ level: 1 })),
  'a pass-through before zlib': (payload) => payload.pipe(new PassThrough()).pipe(createGzip({ level: 1 })),
};

for (const [what, transform] of Object.entries(transforms)) {
  test(`a transform gets the right bytes: ${what}`, async (t) => {
    const fixture = await start(
      t,
      changing((payload, reply) => {
        reply.removeHeader('content-length').header('content-encoding', 'gzip');
        return transform(payload);
      }),
    );
    const { app, client, file } = fixture;
    for (const [first, last] of [[5, 1005] as const, [0, size - 1] as const]) {
      client.get('/model', `${first}-${last}`);
      const { status, fields } = await client.head();
      assert.deepEqual([status, fields.get('content-encoding')], [206, 'gzip']);
      const { body } = await takeChunked(client);
      assert.ok(gunzipSync(body).equals(bytesOf(file.path, first, last)), `${first}-${last}`);
      await untilNothingHeld(app.pagerelay.relay);
    }
    const { native, stream } = carriedBy(app.pagerelay.relay);
    assert.deepEqual([native, stream], [0, size + 1001], 'counted as copied');
    await checkNext(fixture);
  });
}

test('a client that leaves a transformed body leaves no reference', async (t) => {
  const { app, client, port } = await start(
    t,
    changing((payload, reply) => {
      reply.removeHeader('content-length');
      return payload.pipe(new PassThrough());
    }),
  );
  client.get('/model');
  await client.take(1000);
  assert.equal(app.pagerelay.relay.counters().references, 1);
  client.destroy();
  await untilNothingHeld(app.pagerelay.relay);
  const next = await RawClient.connect(t, port);
  next.get('/other');
  assert.equal((await next.response()).status, 200);
});

const replacements: Record<string, unknown> = {
  text: 'instead',
  bytes: Buffer.from('instead'),
  'another stream': undefined,
};

for (const [what, replacement] of Object.entries(replacements)) {
  test(`a hook may send something else: ${what}`, async (t) => {
    const fixture = await start(
      t,
      changing((_, reply) => {
        reply.header('content-length', '7');
        return replacement ?? Readable.from([Buffer.from('instead')]);
      }),
    );
    const { app, client } = fixture;
    client.get('/model', '0-99999');
    assert.equal((await client.response()).body.toString(), 'instead');
    await untilNothingHeld(app.pagerelay.relay);
    const { native, stream } = carriedBy(app.pagerelay.relay);
    assert.deepEqual([native, stream], [0, 0]);
    await checkNext(fixture);
  });
}

test('a hook that fails is answered by 500 and leaves no reference', async (t) => {
  const fixture = await start(
    t,
    changing(() => {
      throw new Error('the hook failed');
    }),
  );
  fixture.client.get('/model');
  const { status, body } = await fixture.client.response();
  assert.equal(status, 500);
  assert.match(body.toString(), /the hook failed/);
  await untilNothingHeld(fixture.app.pagerelay.relay);
  await checkNext(fixture);
});

test('a hook that destroys the payload breaks the response off and leaves no reference', async (t) => {
  const { app, client, port } = await start(
    t,
    changing((payload) => payload.destroy()),
  );
  client.get('/model');
  await client.rest();
  await untilNothingHeld(app.pagerelay.relay);
  const next = await RawClient.connect(t, port);
  next.get('/other');
  assert.equal((await next.response()).status, 200);
});

test('a body without its Content-Length is sent in chunks', async (t) => {
  const fixture = await start(
    t,
    changing((payload, reply) => {
      reply.removeHeader('content-length');
      return payload;
    }),
  );
  const { client, file, app } = fixture;
  for (const [first, last] of [[5, 1005] as const, [0, size - 1] as const]) {
    client.get('/model', `${first}-${last}`);
    const { fields } = await client.head();
    assert.equal(fields.get('transfer-encoding'), 'chunked');
    const { body } = await takeChunked(client);
    assert.ok(body.equals(bytesOf(file.path, first, last)), `${first}-${last}`);
  }
  await untilNothingHeld(app.pagerelay.relay);
  await checkNext(fixture);
});

test('trailers of the application come after the body', async (t) => {
  const fixture = await start(t, (app) => {
    app.addHook('preHandler', async (_, reply) => {
      if (reply.request.url === '/model') reply.trailer('x-after', async () => 'all');
    });
  });
  const { client, file, app } = fixture;
  for (const [first, last] of [[5, 1005] as const, [0, size - 1] as const]) {
    client.get('/model', `${first}-${last}`);
    const { fields } = await client.head();
    assert.equal(fields.get('transfer-encoding'), 'chunked');
    const { body, trailers } = await takeChunked(client);
    assert.ok(body.equals(bytesOf(file.path, first, last)), `${first}-${last}`);
    assert.match(trailers, /^x-after: all$/i);
  }
  await untilNothingHeld(app.pagerelay.relay);
  await checkNext(fixture);
});

test('a Content-Length that is not that of the body never mixes two responses', async (t) => {
  const { client, app } = await start(
    t,
    changing((payload, reply) => {
      reply.header('content-length', '10');
      return payload;
    }),
  );
  client.get('/model', '0-99');
  client.get('/other');
  const answers: unknown[] = [];
  while (answers.length < 2 && !(answers.at(-1) instanceof EndedEarly)) {
    answers.push(
      await client.response().then(
        ({ body }) => body.toString(),
        (error: unknown) => error,
      ),
    );
  }
  const last = answers.at(-1);
  assert.ok(last === 'other' || last instanceof EndedEarly, `after the body: ${String(last).slice(0, 80)}`);
  await untilNothingHeld(app.pagerelay.relay);
});

for (const [what, last] of [['small', 999] as const, ['large', size - 1] as const]) {
  test(`an informational response before a ${what} body is not in its way`, async (t) => {
    const fixture = await start(t, (app) => {
      app.get('/hinted', (_, reply) => {
        reply.raw.writeEarlyHints({ link: '</style.css>; rel=preload' });
        return reply.sendRegion('model.bin');
      });
    });
    const { client, file, app } = fixture;
    client.get('/hinted', `0-${last}`);
    assert.equal((await client.head()).status, 103);
    assert.equal((await client.head()).status, 206);
    assert.equal(await client.hash(last + 1), sha256OfFile(file.path, 0, last));
    await until(() => carriedBy(app.pagerelay.relay).native === last + 1, 'it was sent natively');
    await checkNext(fixture);
  });
}

test('two hooks may look at the payload without reading it, and it goes natively', async (t) => {
  const seen: unknown[] = [];
  const fixture = await start(t, (app) => {
    for (let hook = 0; hook < 2; hook++) {
      changing((payload) => {
        payload.once('end', () => seen.push('end')).once('close', () => seen.push('close'));
        return payload;
      })(app);
    }
  });
  fixture.client.get('/model', '0-9');
  assert.equal((await fixture.client.response()).status, 206);
  await until(() => seen.length === 4, 'all have heard of the end');
  assert.deepEqual(seen, ['end', 'end', 'close', 'close']);
  assert.equal(carriedBy(fixture.app.pagerelay.relay).native, 10);
});

test('a head that loses its Content-Length on its way out is followed by no bytes', async (t) => {
  const { app, client } = await start(t, (app) =>
    // As middleware does that encodes bodies, and has put itself in place of a response's functions.
    app.addHook('onRequest', async (_, { raw }) => {
      const writeHead = raw.writeHead.bind(raw);
      raw.writeHead = ((status: number, { 'content-length': _, ...fields }: Record<string, string>) =>
        writeHead(status, fields)) as typeof raw.writeHead;
    }),
  );
  client.get('/model');
  await assert.rejects(client.response(), EndedEarly);
  await untilNothingHeld(app.pagerelay.relay);
});
