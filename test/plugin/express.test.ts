/** `express` in an application: off unless asked for, past its hooks, and only over plain HTTP/1. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { Agent, get } from 'node:https';
import { before, type TestContext, test } from 'node:test';
import { createGzip } from 'node:zlib';
import fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { type PagerelayOptions, pagerelay } from '../../src/plugin.ts';
import { listen, quick, startApp, untilClosed, untilNothingHeld } from '../support/app.ts';
import { makeCertificate } from '../support/certificate.ts';
import { countOpen } from '../support/descriptors.ts';
import {
  answersOf,
  connectGranted,
  type Express,
  grantedOf,
  haveGranted,
  untilNoneGranted,
} from '../support/express.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, writeRegion } from '../support/regions.ts';
import { warmProcess } from '../support/warm-process.ts';

const size = 500_000;
const content = seededBytes(size, 17);

type Fixture = Express & { readonly app: FastifyInstance };

before(warmProcess);

async function start(
  t: TestContext,
  options: PagerelayOptions,
  build: (app: FastifyInstance) => unknown = () => {},
  server: FastifyServerOptions = {},
): Promise<Fixture> {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'model.bin', size, 17);
  const running = await startApp(
    t,
    { dir, engine: 'sendfile', ...options },
    (app) => {
      app.get('/mine', (_, reply) => reply.header('x-mine', 'yes').sendRegion('model.bin'));
      return build(app);
    },
    server,
  );
  return { ...running, service: { relay: running.app.pagerelay.relay } };
}

async function askOften(t: TestContext, { port }: Express, path: string, fields = '', times = 10): Promise<RawClient> {
  const client = await RawClient.connect(t, port);
  for (let at = 0; at < times; at++) {
    client.get(path, `${at}-${at + 99}`, fields);
    assert.ok((await client.response()).body.equals(content.subarray(at, at + 100)));
  }
  return client;
}

test('lanes answer nothing by themselves unless they are asked to', async (t) => {
  const running = await start(t, {});
  for (const path of ['/regions/model.bin', '/mine']) (await askOften(t, running, path)).destroy();
  const { grants } = running.service.relay.counters();
  assert.deepEqual([grants, answersOf(running)], [0, 0]);
});

for (const path of ['/regions/model.bin', '/mine']) {
  test(`with express, requests for ${path} that repeat are answered by a lane, as the first was`, async (t) => {
    const running = await start(t, { express: true });
    const client = await RawClient.connect(t, running.port);
    const first = await haveGranted(running, client, { path });
    const answers = answersOf(running);
    client.get(path, '7-99');
    const { status, fields, body } = await client.response();
    await until(() => answersOf(running) > answers, 'the lane has answered');
    assert.equal(status, 206);
    assert.ok(body.equals(content.subarray(7, 100)));
    const same = (name: string) => assert.equal(fields.get(name), first.fields.get(name), name);
    for (const name of ['etag', 'x-mine', 'content-type', 'last-modified', 'accept-ranges', 'connection']) same(name);
    client.destroy();
    await untilNothingHeld(running.service.relay);
  });
}

test('hooks hear of what Node answers, in time, and of nothing that a lane answers', async (t) => {
  const heard = { onRequest: 0, onSend: 0, onResponse: 0 };
  const running = await start(t, { express: true }, (app) => {
    app.addHook('onRequest', async () => void heard.onRequest++);
    app.addHook('onSend', async (_, __, payload) => {
      heard.onSend++;
      return payload;
    });
    app.addHook('onResponse', async () => void heard.onResponse++);
  });
  const client = await askOften(t, running, '/mine', '', 20);
  const byNode = 20 - answersOf(running);
  assert.ok(byNode < 20, 'a lane has answered');
  await until(
    () => heard.onResponse === byNode,
    'each response of Node’s was heard of',
    () => heard,
  );
  assert.deepEqual(heard, { onRequest: byNode, onSend: byNode, onResponse: byNode });
  client.destroy();
});

test('a payload that a hook has changed is never granted', async (t) => {
  const running = await start(t, { express: true }, (app) => {
    app.addHook('onSend', async (_, reply, payload) => {
      reply.removeHeader('content-length');
      return (payload as NodeJS.ReadableStream).pipe(createGzip({ level: 1 }));
    });
  });
  const client = await RawClient.connect(t, running.port);
  for (let again = 0; again < 5; again++) {
    client.get('/mine');
    const { status, fields } = await client.head();
    assert.deepEqual([status, fields.get('transfer-encoding')], [200, 'chunked']);
    for (let size = 1; size > 0; ) {
      let line = '';
      while (!line.endsWith('\r\n')) line += (await client.take(1)).toString('latin1');
      size = Number.parseInt(line, 16);
      await client.take(size + 2);
    }
  }
  assert.equal(running.service.relay.counters().grants, 0);
});

test('a response that a hook has made the last of its connection is never granted', async (t) => {
  const running = await start(t, { express: true }, (app) => {
    app.addHook('onSend', async (_, reply) => void reply.header('connection', 'close'));
  });
  for (let again = 0; again < 4; again++) (await askOften(t, running, '/mine', '', 1)).destroy();
  assert.equal(running.service.relay.counters().grants, 0);
});

test('a connection that has received part of a request before its response was ended is not granted', async (t) => {
  const ends: (() => void)[] = [];
  let received = () => 0;
  const running = await start(t, { express: true }, (app) => {
    app.server.on('connection', (socket) => {
      received = () => socket.bytesRead;
    });
    // As software that measures or compresses does: the end comes some time later.
    app.addHook('onRequest', async (_, reply) => {
      const { raw } = reply;
      const end = raw.end.bind(raw);
      raw.end = ((...given: []) => {
        ends.push(() => end(...given));
        return raw;
      }) as typeof end;
    });
  });
  const client = await RawClient.connect(t, running.port);
  client.socket.setNoDelay();
  const endOne = async () => {
    await until(() => ends.length > 0, 'a response is to be ended');
    ends.shift()?.();
  };
  for (let again = 0; again < 2; again++) {
    client.get('/mine', '0-9');
    await client.response();
    if (again === 0) await endOne();
  }
  const granted = 'GET /mine HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-9\r\n\r\n';
  const part = 'GET /none HTTP/1.1\r\nHost: a\r\nX: ';
  client.write(part);
  await until(() => received() === 2 * granted.length + part.length, 'Node has read it');
  await endOne();
  client.write(granted);
  await endOne();
  assert.equal((await client.response()).status, 404, 'not what stands inside of it');
  assert.equal(answersOf(running), 0);
  client.destroy();
});

test('short bodies are copied where copyBelow says so, by lanes too', async (t) => {
  const running = await start(t, { express: true, copyBelow: 1000 });
  const client = await askOften(t, running, '/mine');
  const { sentBytes } = running.service.relay.counters();
  assert.deepEqual([sentBytes.copy, sentBytes.sendfile], [1000, 0]);
  assert.ok(answersOf(running) > 0);
  client.get('/mine', '0-999');
  await client.response();
  await until(() => running.service.relay.counters().sentBytes.sendfile === 1000, 'a longer one is not');
  client.destroy();
});

test('closing an application does not wait for grants, and leaves nothing open', async (t) => {
  const before = countOpen();
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'model.bin', size, 17);
  const { app, port } = await startApp(t, { dir, express: true, drain: 10 });
  const running = { service: { relay: app.pagerelay.relay }, port };
  const clients = [];
  for (let at = 0; at < 5; at++) clients.push(await connectGranted(t, running, { path: '/regions/model.bin' }));
  assert.ok(grantedOf(running) > 0);
  const closing = app.close();
  for (const client of clients) assert.equal((await client.rest()).bytes, 0);
  await closing;
  for (const client of clients) client.destroy();
  await untilClosed(before);
});

test('closing an application waits for what a lane is in the middle of', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'large.bin', 40 << 20, 18);
  const { app, port } = await startApp(t, { dir, express: true, drain: 10 });
  const client = await connectGranted(
    t,
    { service: { relay: app.pagerelay.relay }, port },
    { path: '/regions/large.bin' },
  );
  client.get('/regions/large.bin', '0-');
  await client.head();
  const closing = app.close();
  assert.equal((await client.take(40 << 20)).length, 40 << 20);
  assert.equal((await client.rest()).bytes, 0);
  await closing;
});

test('two scopes of one application may both have it, on the same connections', async (t) => {
  const [one, other] = [makeFolder(t, 'tmpfs'), makeFolder(t, 'tmpfs')];
  writeRegion(one, 'model.bin', size, 17);
  writeRegion(other, 'model.bin', size, 19);
  const app = fastify();
  const relays: Express['service'][] = [];
  for (const [prefix, dir] of [['/one', one] as const, ['/other', other] as const]) {
    await app.register(async (scope) => {
      await scope.register(pagerelay, { ...quick, dir, prefix, express: true, engine: 'sendfile' });
      relays.push({ relay: scope.pagerelay.relay });
    });
  }
  const port = await listen(t, app);
  const client = await RawClient.connect(t, port);
  client.socket.setNoDelay();
  const contents = { '/one': content, '/other': seededBytes(size, 19) };
  for (let at = 0; at < 60; at++) {
    const prefix = Math.floor(at / 6) % 2 === 0 ? '/one' : '/other';
    client.get(`${prefix}/regions/model.bin`, `${at}-${at + 99}`);
    assert.ok((await client.response()).body.equals(contents[prefix].subarray(at, at + 100)), `${at} ${prefix}`);
  }
  for (const service of relays) assert.ok(answersOf({ service }) > 5, `${answersOf({ service })} answers`);
  client.destroy();
  for (const service of relays) {
    await untilNoneGranted({ service });
    await untilNothingHeld(service.relay);
  }
});

test('over TLS it is served as ever, and nothing is granted', async (t) => {
  const https = makeCertificate(t);
  const running = await start(t, { express: true }, () => {}, { https } as FastifyServerOptions);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let at = 0; at < 6; at++) {
    const headers = { range: `bytes=${at}-${at + 99}` };
    const request = get({ host: '127.0.0.1', port: running.port, path: '/mine', headers, ca: https.cert, agent });
    const [response] = await once(request, 'response');
    assert.ok(Buffer.concat(await response.toArray()).equals(content.subarray(at, at + 100)));
  }
  agent.destroy();
  assert.equal(running.service.relay.counters().grants, 0);
});

test('over HTTP/2 it is served as ever, and nothing is granted', async (t) => {
  const running = await start(t, { express: true }, () => {}, { http2: true } as FastifyServerOptions);
  const session = connectHttp2(`http://127.0.0.1:${running.port}`);
  t.after(() => session.destroy());
  for (let at = 0; at < 6; at++) {
    const stream = session.request({ ':path': '/mine', range: `bytes=${at}-${at + 99}` });
    assert.ok(Buffer.concat(await stream.toArray()).equals(content.subarray(at, at + 100)));
  }
  session.close();
  assert.equal(running.service.relay.counters().grants, 0);
});

test('inject() is answered as ever', async (t) => {
  const running = await start(t, { express: true });
  for (let at = 0; at < 4; at++) {
    const answer = await running.app.inject({ url: '/mine', headers: { range: `bytes=${at}-${at + 9}` } });
    assert.ok(answer.rawPayload.equals(content.subarray(at, at + 10)));
  }
  assert.equal(running.service.relay.counters().grants, 0);
});

test('Node’s limits of time do not hold for a body that a lane sends, and do for what follows', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const large = writeRegion(dir, 'large.bin', 40 << 20, 18);
  const limits = { keepAliveTimeout: 200, requestTimeout: 400, connectionTimeout: 300 };
  const http = { connectionsCheckingInterval: 50, headersTimeout: 300 };
  const { app, port } = await startApp(t, { dir, express: true }, () => {}, {
    ...limits,
    http,
  } as FastifyServerOptions);
  const running = { service: { relay: app.pagerelay.relay }, port };
  const client = await connectGranted(t, running, { path: '/regions/large.bin' });
  client.get('/regions/large.bin', '0-');
  await client.head();
  const later = performance.now() + 1500;
  await until(() => performance.now() > later, 'well beyond every limit');
  assert.equal((await client.take(large.size)).length, large.size);
  client.write('GET /regions/large.bin HTTP/1.1\r\nHost: a');
  await client.rest();
  client.destroy();
  await untilNoneGranted(running);
  await untilNothingHeld(running.service.relay);
});
