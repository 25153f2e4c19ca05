/** `express` in an application: off unless asked for, past its hooks, and only over plain HTTP/1. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { Agent, get } from 'node:https';
import { before, type TestContext, test } from 'node:test';
import fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { type PagerelayOptions, pagerelay } from '../../src/plugin.ts';
import type { Relay } from '../../src/relay/relay.ts';
import { listen, quick, type RunningApp, startApp, untilNothingHeld } from '../support/app.ts';
import { makeCertificate } from '../support/certificate.ts';
import { countOpen, untilClosed } from '../support/descriptors.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, writeRegion } from '../support/regions.ts';
import { warmProcess } from '../support/warm-process.ts';

const size = 500_000;
const content = seededBytes(size, 17);
const path = '/regions/model.bin';
const toAll = { access: 'public' } as const;

before(warmProcess);

async function start(
  t: TestContext,
  options: PagerelayOptions,
  build: (app: FastifyInstance) => unknown = () => {},
  server: FastifyServerOptions = {},
): Promise<RunningApp> {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'model.bin', size, 17);
  const mine = (app: FastifyInstance) => {
    app.get('/mine', (_, reply) => reply.header('x-mine', 'yes').sendRegion('model.bin'));
    return build(app);
  };
  return startApp(t, { dir, engine: 'sendfile', ...options }, mine, server);
}

/** How many requests lanes have answered. */
function answersOf(relay: Relay): number {
  return Object.values(relay.counters().answers).reduce((all, count) => all + count, 0);
}

/** Waits until lanes have answered so many: they count when a body is out, which its reader may see before. */
async function untilAnswered(relay: Relay, count: number, what = 'lanes have answered'): Promise<void> {
  await until(
    () => answersOf(relay) === count,
    what,
    () => relay.counters(),
  );
}

/** Asks for ranges, one after the other, and looks at the bytes that come. */
async function ask(client: RawClient, asked: string, times: number, fields = '', bytes = content): Promise<void> {
  for (let at = 0; at < times; at++) {
    client.get(asked, `${at}-${at + 99}`, fields);
    const { status, body } = await client.response();
    assert.equal(status, 206);
    assert.ok(body.equals(bytes.subarray(at, at + 100)));
  }
}

test('lanes answer nothing by themselves unless they are asked to', async (t) => {
  const { app, port } = await start(t, {});
  const client = await RawClient.connect(t, port);
  for (const asked of [path, '/mine']) await ask(client, asked, 5);
  const { acceptedConnections, published } = app.pagerelay.relay.counters();
  assert.deepEqual([acceptedConnections, published, answersOf(app.pagerelay.relay)], [0, 0, 0]);
});

const wrong: readonly unknown[] = [
  true,
  false,
  null,
  'public',
  {},
  { access: 'private' },
  { access: true },
  { tokens: 'secret' },
  { tokens: [] },
  { tokens: [7] },
  { tokens: ['two words'] },
  { access: 'public', tokens: ['secret'] },
  { access: 'public', hosts: ['a.example'] },
];

for (const express of wrong) {
  test(`express: ${JSON.stringify(express)} is a TypeError at registration`, async () => {
    const app = fastify();
    const registering = async () => app.register(pagerelay, { ...quick, express } as PagerelayOptions);
    await assert.rejects(registering, { name: 'TypeError', message: /express|bearer token/ });
    await app.close();
  });
}

for (const prefix of ['', '/files']) {
  test(`with express, the first request for ${prefix}${path} is the application's and the next are a lane's, which answers as the application did`, async (t) => {
    const { app, port } = await start(t, { express: toAll, prefix });
    const client = await RawClient.connect(t, port);
    client.get(prefix + path, '0-9');
    const first = await client.response();
    assert.equal(answersOf(app.pagerelay.relay), 0);
    client.get(prefix + path, '7-99', 'X-Request-Id: 7\r\n');
    const { status, fields, body } = await client.response();
    await untilAnswered(app.pagerelay.relay, 1);
    assert.equal(status, 206);
    assert.ok(body.equals(content.subarray(7, 100)));
    const byLane = { 'content-length': '93', 'content-range': `bytes 7-99/${size}`, date: fields.get('date') };
    assert.deepEqual({ ...Object.fromEntries(fields) }, { ...Object.fromEntries(first.fields), ...byLane });
    client.destroy();
    await untilNothingHeld(app.pagerelay.relay);
  });
}

test('a route of the application’s own is never answered by a lane, however often it sends a region', async (t) => {
  const { app, port } = await start(t, { express: toAll });
  const client = await RawClient.connect(t, port);
  await ask(client, path, 3);
  await untilAnswered(app.pagerelay.relay, 2);
  await ask(client, '/mine', 10);
  client.get('/mine', '0-9');
  assert.equal((await client.response()).fields.get('x-mine'), 'yes');
  const { published, fed } = app.pagerelay.relay.counters();
  assert.deepEqual([answersOf(app.pagerelay.relay), published, fed.unpublished], [2, 1, 12]);
});

test('hooks hear of every request but those for the plugin’s own route that a lane answers', async (t) => {
  const heard: string[] = [];
  const { app, port } = await start(t, { express: toAll }, (app) => {
    app.addHook('onRequest', async ({ url }) => void heard.push(`onRequest ${url}`));
    app.addHook('onResponse', async ({ url }) => void heard.push(`onResponse ${url}`));
  });
  const client = await RawClient.connect(t, port);
  await ask(client, path, 6);
  await ask(client, '/mine', 2);
  const count = (line: string) => heard.filter((each) => each === line).length;
  await until(
    () => heard.length === 6,
    'each response of the application’s was heard of',
    () => heard,
  );
  const counted = [`onRequest ${path}`, `onResponse ${path}`, 'onRequest /mine', 'onResponse /mine'].map(count);
  assert.deepEqual(counted, [1, 1, 2, 2]);
  await untilAnswered(app.pagerelay.relay, 5);
});

test('two users share a connection: who has a token is answered by a lane, and who has none by the application', async (t) => {
  const users = new Map([
    ['Bearer ofAnna', 'anna'],
    ['Bearer ofBert', 'bert'],
  ]);
  const refused: (string | undefined)[] = [];
  // Bert is known to the application, and may not read regions.
  const { app, port } = await start(t, { express: { tokens: ['ofAnna'] } }, (app) => {
    app.addHook('onRequest', async ({ headers: { authorization } }, reply) => {
      if (users.get(authorization ?? '') === 'anna') return undefined;
      refused.push(authorization);
      return reply.code(users.has(authorization ?? '') ? 403 : 401).send();
    });
  });
  const client = await RawClient.connect(t, port);
  const asAnna = 'Authorization: Bearer ofAnna\r\n';
  await ask(client, path, 3, asAnna);
  for (let again = 0; again < 5; again++) {
    for (const [fields, expected] of [
      [asAnna, 206],
      ['Authorization: Bearer ofBert\r\n', 403],
      ['', 401],
      [`${asAnna}Authorization: Bearer ofBert\r\n`, 206], // Node takes the first of two.
      ['Authorization: Bearer ofBert\r\nAuthorization: Bearer ofAnna\r\n', 403],
      ['Authorization: Bearer ofAnnaX\r\n', 401],
    ] as const) {
      client.get(path, '0-9', fields);
      assert.equal((await client.response()).status, expected, fields);
    }
  }
  const { fed } = app.pagerelay.relay.counters();
  await untilAnswered(app.pagerelay.relay, 2 + 5, 'Anna’s requests');
  assert.equal(fed.guard, 3 * 5, 'Bert’s, nobody’s, and of a token that is none');
  assert.equal(refused.length, 4 * 5);
});

test('what the application refuses is not published by its being asked for', async (t) => {
  const { app, port } = await start(t, { express: toAll }, (app) => {
    app.addHook('onRequest', async ({ headers }, reply) => {
      return headers['x-may'] === undefined ? reply.code(403).send() : undefined;
    });
  });
  const client = await RawClient.connect(t, port);
  for (let again = 0; again < 3; again++) {
    client.get(path, '0-9');
    assert.equal((await client.response()).status, 403);
  }
  assert.equal(app.pagerelay.relay.counters().published, 0);
});

test('a path that the application rewrites is not answered by lanes', async (t) => {
  const server = { rewriteUrl: ({ url = '/' }) => (url === '/today' ? path : url) } as FastifyServerOptions;
  const { app, port } = await start(t, { express: toAll }, () => {}, server);
  const client = await RawClient.connect(t, port);
  await ask(client, '/today', 4);
  assert.deepEqual([app.pagerelay.relay.counters().published, answersOf(app.pagerelay.relay)], [0, 0]);
  await ask(client, path, 4);
  await untilAnswered(app.pagerelay.relay, 3);
});

const origin = 'Origin: https://a.example\r\n';

for (const [what, cors, byLanes] of [
  ['any origin are answered by lanes', true, 5],
  ['origins that are named, by the application, and all others by lanes', { origin: ['https://a.example'] }, 2],
  ['an origin that is told to everybody, by the application', { origin: 'https://a.example' }, 0],
  ['an origin that is asked for each time, by the application', { origin: async () => 'https://a.example' }, 0],
] as const) {
  test(`requests of pages of ${what}`, async (t) => {
    const { app, port } = await start(t, { express: toAll, cors: cors as NonNullable<PagerelayOptions['cors']> });
    const client = await RawClient.connect(t, port);
    for (const fields of ['', '', origin, 'Origin: https://b.example\r\n', '', origin]) {
      client.get(path, '0-9', fields);
      const answer = await client.response();
      const allowed = answer.fields.get('access-control-allow-origin');
      if (fields === origin) assert.ok(allowed === '*' || allowed === 'https://a.example', `${allowed}`);
      if (cors !== true && typeof cors.origin !== 'string') assert.equal(answer.fields.get('vary'), 'Origin');
      assert.match(answer.fields.get('access-control-expose-headers') ?? '', /content-range/);
    }
    await untilAnswered(app.pagerelay.relay, byLanes);
  });
}

test('short bodies are copied where copyBelow says so, by lanes too', async (t) => {
  const { app, port } = await start(t, { express: toAll, copyBelow: 1000 });
  const { relay } = app.pagerelay;
  const client = await RawClient.connect(t, port);
  await ask(client, path, 10);
  await untilAnswered(relay, 9);
  const { sentBytes } = relay.counters();
  assert.deepEqual([sentBytes.copy, sentBytes.sendfile], [1000, 0]);
  client.get(path, '0-999');
  await client.response();
  await untilAnswered(relay, 10);
  assert.equal(relay.counters().sentBytes.sendfile, 1000, 'a longer one is not');
});

for (const [copyFirstBelow, copied] of [
  [101, 100],
  [100, 0],
  [undefined, 0],
] as const) {
  test(`a body that is a lane's first on its connection is copied where it is shorter than ${copyFirstBelow ?? 'is said'}`, async (t) => {
    const { app, port } = await start(t, {
      express: toAll,
      ...(copyFirstBelow === undefined ? {} : { copyFirstBelow }),
    });
    const { relay } = app.pagerelay;
    await ask(await RawClient.connect(t, port), path, 1); // Node's, which publishes the region.
    const before = relay.counters().sentBytes.copy;
    await ask(await RawClient.connect(t, port), path, 3);
    await untilAnswered(relay, 3);
    assert.equal(relay.counters().sentBytes.copy - before, copied);
  });
}

test('closing an application ends idle connections that lanes read, and leaves nothing open', async (t) => {
  const before = countOpen();
  const { app, port } = await start(t, { express: toAll, drain: 10 });
  const clients: RawClient[] = [];
  for (let at = 0; at < 5; at++) clients.push(await RawClient.connect(t, port));
  for (const client of clients) await ask(client, path, 2);
  await untilAnswered(app.pagerelay.relay, 9);
  const closing = app.close();
  for (const client of clients) assert.equal((await client.rest()).bytes, 0);
  await closing;
  for (const client of clients) client.destroy();
  await untilClosed(before);
});

test('closing an application waits for what a lane is in the middle of', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'large.bin', 40 << 20, 18);
  const { app, port } = await startApp(t, { dir, express: toAll, drain: 10 });
  const client = await RawClient.connect(t, port);
  client.get('/regions/large.bin', '0-9');
  await client.response();
  client.get('/regions/large.bin', '0-');
  await client.head();
  assert.equal(app.pagerelay.relay.counters().fed.unpublished, 1, 'a lane has begun this one');
  const closing = app.close();
  assert.equal((await client.take(40 << 20)).length, 40 << 20);
  assert.equal((await client.rest()).bytes, 0);
  await closing;
});

test('of two scopes of one application the first has lanes, and the second answers on the same connections', async (t) => {
  const [one, other] = [makeFolder(t, 'tmpfs'), makeFolder(t, 'tmpfs')];
  writeRegion(one, 'model.bin', size, 17);
  writeRegion(other, 'model.bin', size, 19);
  const app = fastify();
  const relays: Relay[] = [];
  for (const [prefix, dir] of [['/one', one] as const, ['/other', other] as const]) {
    await app.register(async (scope) => {
      await scope.register(pagerelay, { ...quick, dir, prefix, express: toAll, engine: 'sendfile' });
      relays.push(scope.pagerelay.relay);
    });
  }
  const client = await RawClient.connect(t, await listen(t, app));
  const otherContent = seededBytes(size, 19);
  for (let turn = 0; turn < 5; turn++) {
    await ask(client, `/one${path}`, 6);
    await ask(client, `/other${path}`, 6, '', otherContent);
  }
  const accepted = relays.map((relay) => relay.counters().acceptedConnections);
  assert.deepEqual(accepted, [1, 0]);
  for (const [at, relay] of relays.entries()) await untilAnswered(relay, at === 0 ? 5 * 6 - 1 : 0);
  client.destroy();
  for (const relay of relays) await untilNothingHeld(relay);
});

test('over TLS it is served as ever, and lanes accept nothing', async (t) => {
  const https = makeCertificate(t);
  const { app, port } = await start(t, { express: toAll }, () => {}, { https } as FastifyServerOptions);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let at = 0; at < 6; at++) {
    const headers = { range: `bytes=${at}-${at + 99}` };
    const request = get({ host: '127.0.0.1', port, path, headers, ca: https.cert, agent });
    const [response] = await once(request, 'response');
    assert.ok(Buffer.concat(await response.toArray()).equals(content.subarray(at, at + 100)));
  }
  agent.destroy();
  assert.equal(app.pagerelay.relay.counters().acceptedConnections, 0);
});

test('over HTTP/2 it is served as ever, and lanes accept nothing', async (t) => {
  const { app, port } = await start(t, { express: toAll }, () => {}, { http2: true } as FastifyServerOptions);
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  for (let at = 0; at < 6; at++) {
    const stream = session.request({ ':path': path, range: `bytes=${at}-${at + 99}` });
    assert.ok(Buffer.concat(await stream.toArray()).equals(content.subarray(at, at + 100)));
  }
  session.close();
  assert.equal(app.pagerelay.relay.counters().acceptedConnections, 0);
});

test('inject() is answered as ever', async (t) => {
  const { app } = await start(t, { express: toAll });
  for (let at = 0; at < 4; at++) {
    const answer = await app.inject({ url: path, headers: { range: `bytes=${at}-${at + 9}` } });
    assert.ok(answer.rawPayload.equals(content.subarray(at, at + 10)));
  }
  assert.equal(answersOf(app.pagerelay.relay), 0);
});

test('Node’s limits of time do not hold for a body that a lane sends, and a head that is late is answered 408', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const large = writeRegion(dir, 'large.bin', 40 << 20, 18);
  const limits = { keepAliveTimeout: 200, requestTimeout: 400, connectionTimeout: 300 };
  const http = { connectionsCheckingInterval: 50, headersTimeout: 300 };
  const server = { ...limits, http } as FastifyServerOptions;
  const { app, port } = await startApp(t, { dir, express: toAll }, () => {}, server);
  const client = await RawClient.connect(t, port);
  // All at once: on a busy machine this client may be late, and an idle connection be closed by then.
  for (const range of ['0-9', '0-']) client.get('/regions/large.bin', range);
  client.write('GET /regions/large.bin HTTP/1.1\r\nHost: a');
  await client.response();
  await client.head();
  const later = performance.now() + 1500;
  await until(() => performance.now() > later, 'well beyond every limit');
  assert.equal((await client.take(large.size)).length, large.size);
  assert.equal((await client.head()).status, 408);
  await client.rest();
  client.destroy();
  await untilNothingHeld(app.pagerelay.relay);
  assert.equal(app.pagerelay.relay.counters().handedOver.late, 1);
});

for (const express of [toAll, undefined]) {
  test(`requestsPerSecond is kept by ${express ? 'lanes' : 'Node'}`, async (t) => {
    const options = { requestsPerSecond: 1, requestBurst: 3, ...(express && { express }) };
    const { app, port } = await start(t, options);
    const client = await RawClient.connect(t, port);
    const statuses: number[] = [];
    while (statuses.at(-1) !== 429) {
      client.get(path, '0-9');
      statuses.push((await client.response()).status);
    }
    assert.deepEqual(statuses.slice(0, 4), statuses.length > 4 ? [206, 206, 206, 206] : [206, 206, 206, 429]);
    const { metrics, relay } = app.pagerelay;
    assert.equal(metrics.limited(relay.counters()).requests_per_second, 1);
  });
}
