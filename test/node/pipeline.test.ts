/** One request of a connection at a time, whatever bytes its requests come in. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { closeLingering } from '../../src/node/lingering.ts';
import { answerOneByOne } from '../../src/node/pipeline.ts';
import { cutAt, writeInPieces } from '../support/lane-answers.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';

/** How many connections were closed because too much waited. */
let full = 0;

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
type Serving = { readonly port: number; readonly sockets: Socket[] };

async function serve(t: TestContext, handler: Handler, mostInAll?: number): Promise<Serving> {
  const server = createServer(handler);
  Object.assign(server, { httpAllowHalfOpen: true });
  const sockets: Socket[] = [];
  answerOneByOne(
    server,
    (socket, pipeline) => {
      sockets.push(socket);
      closeLingering(socket, pipeline);
    },
    () => {
      full++;
    },
    mostInAll,
  );
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { port: (server.address() as AddressInfo).port, sockets };
}

const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;

test('the handler of a pipelined request runs when the response before it has ended', async (t) => {
  const began: string[] = [];
  const waiting: ServerResponse[] = [];
  const { port } = await serve(t, ({ url = '' }, response) => {
    began.push(url);
    waiting.push(response);
  });
  const client = await RawClient.connect(t, port);
  client.write(get('/1') + get('/2') + get('/3'));
  for (const expected of [['/1'], ['/1', '/2'], ['/1', '/2', '/3']]) {
    await until(() => began.length === expected.length, `${expected.length} have begun`);
    for (let turns = 0; turns < 20; turns++) await turn();
    assert.deepEqual(began, expected);
    waiting.at(-1)?.end('x');
    assert.equal((await client.response()).body.toString(), 'x');
  }
});

// Bodies that look like the end of a head, and like requests.
const tricky = [
  get('/a'),
  `PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\n\r\n\r\nGET /no HTTP/1.1\r\nHost: a\r\n\r\n`.slice(0, -1),
  get('/c', 'Content-Length: 0\r\n'),
  'PUT /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nab\r\n\r\ncd\r\n0\r\nTrailer: x\r\n\r\n',
  `\r\n${get('/e')}`,
  'PUT /f HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  get('/g', 'Connection: close\r\n'),
];
const trickyAnswers = ['/a:0', '/b:31', '/c:0', '/d:8', '/e:0', '/f:0', '/g:0'];

/** Answers each request with its path and the length of its body, once that is here; refuses to see two at once. */
function echoing(): Handler {
  const busy = new Map<Socket, string>();
  return async ({ url = '', socket }, response) => {
    assert.equal(busy.get(socket), undefined, `${url} while another is answered`);
    busy.set(socket, url);
    let length = 0;
    for await (const chunk of response.req) length += (chunk as Buffer).length;
    await turn();
    response.once('finish', () => busy.delete(socket));
    response.end(`${url}:${length}`);
  };
}

test('requests with every kind of body are told apart wherever the stream is cut', async (t) => {
  const { port } = await serve(t, echoing());
  const stream = tricky.join('');
  const cuts = [
    [],
    ...Array.from(stream, (_, at) => [at / stream.length]),
    Array.from(stream, (_, at) => at / stream.length),
  ];
  for (const places of cuts) {
    const client = await RawClient.connect(t, port);
    const writing = writeInPieces(client, cutAt(stream, places));
    const answers: string[] = [];
    for (const _ of trickyAnswers) answers.push((await client.response()).body.toString());
    assert.deepEqual(answers, trickyAnswers, `cut at ${places.slice(0, 3)}`);
    await writing;
    client.destroy();
  }
});

test('a client that half-closes behind several requests gets all answers', async (t) => {
  const { port } = await serve(t, echoing());
  const client = await RawClient.connect(t, port);
  client.write(get('/1') + get('/2') + get('/3'));
  client.end();
  for (const path of ['/1', '/2', '/3']) assert.equal((await client.response()).body.toString(), `${path}:0`);
  assert.deepEqual((await client.rest()).bytes, 0);
});

test('others are answered while a thousand requests of one connection wait', async (t) => {
  const count = 1000;
  const order: string[] = [];
  const first = Promise.withResolvers<void>();
  const { port } = await serve(t, ({ url = '' }, response) => {
    order.push(url);
    response.end('x');
    first.resolve();
  });
  const [many, other] = [await RawClient.connect(t, port), await RawClient.connect(t, port)];
  many.write(get('/many').repeat(count));
  await first.promise;
  other.write(get('/other'));
  await other.response();
  for (let answers = 0; answers < count; answers++) await many.response();
  assert.ok(order.indexOf('/other') < count, 'not behind all of them');
  assert.equal(order.length, count + 1);
});

test('others are looked at while a hundred connections have requests wait at the same time', async (t) => {
  const connections = 100;
  const first: ServerResponse[] = [];
  /** Requests that have waited, by the turn of the event loop that they were answered in. */
  const answered = new Map<number, number>();
  const { port } = await serve(t, ({ url }, response) => {
    const { loopCount } = performance.nodeTiming.uvMetricsInfo;
    if (url === '/first') first.push(response);
    else answered.set(loopCount, (answered.get(loopCount) ?? 0) + 1);
    if (url === '/second') response.end('x');
    else if (first.length === connections) for (const each of first) each.end('x');
  });
  const clients = await Promise.all(Array.from({ length: connections }, () => RawClient.connect(t, port)));
  for (const client of clients) client.write(get('/first') + get('/second'));
  for (const client of clients) for (let answers = 0; answers < 2; answers++) await client.response();
  const inTurns = [...answered.values()];
  assert.equal(
    inTurns.reduce((sum, inTurn) => sum + inTurn),
    connections,
  );
  assert.ok(Math.max(...inTurns) <= 32, `${inTurns}: few in each`);
});

test('a connection is read no further than what waits', async (t) => {
  const waiting: ServerResponse[] = [];
  let answered = 0;
  const { port, sockets } = await serve(t, (_, response) => {
    if (answered > 0) response.end('x');
    else waiting.push(response);
  });
  const client = await RawClient.connect(t, port);
  const request = get('/', `X: ${'x'.repeat(8000)}\r\n`);
  const requests = 4096; // 32 MiB, more than the kernel's queues take
  client.write(request.repeat(requests));
  await until(() => (sockets[0]?.bytesRead ?? 0) >= 65_536, 'some of it was read');
  for (let turns = 0; turns < 200; turns++) await turn();
  const { bytesRead } = sockets[0] as Socket;
  assert.ok(bytesRead <= 3 * 65_536, `${bytesRead} bytes were read`);
  assert.equal(waiting.length, 1);
  waiting[0]?.end('x');
  for (; answered < requests; answered++) await client.response();
});

test('a connection that would have too much wait is closed behind its response', async (t) => {
  const waiting: ServerResponse[] = [];
  const { port, sockets } = await serve(t, (_, response) => void waiting.push(response), 1000);
  const client = await RawClient.connect(t, port);
  client.write(get('/').repeat(100));
  await until(() => waiting.length === 1, 'the first is being answered');
  waiting[0]?.end('x');
  const { status, fields } = await client.response();
  assert.deepEqual([status, fields.get('connection')], [200, 'close']);
  assert.deepEqual(await client.rest().then(({ bytes, error }) => [bytes, error]), [0, undefined]);
  client.end();
  await until(() => sockets[0]?.destroyed === true, 'it is closed');
  assert.deepEqual([waiting.length, full], [1, 1]);
});

/** Has a connection be as one whose output waits, between two responses. */
async function withPausedOutput(t: TestContext, mostInAll?: number): Promise<{ client: RawClient; socket: Socket }> {
  const { port, sockets } = await serve(t, (_, response) => response.end('x'), mostInAll);
  const client = await RawClient.connect(t, port);
  await until(() => sockets.length === 1, 'the connection is there');
  const [socket] = sockets as [Socket];
  Object.assign(socket, { _paused: true });
  return { client, socket };
}

test('pieces that come while output waits are answered when it is out, and leave no listeners behind', async (t) => {
  const { client, socket } = await withPausedOutput(t);
  const usual = socket.listenerCount('drain');
  const request = get('/');
  await writeInPieces(client, [...request]);
  await until(() => socket.bytesRead === request.length, 'all of it was read');
  assert.equal(socket.listenerCount('drain'), usual + 1);
  socket.emit('drain');
  assert.equal((await client.response()).body.toString(), 'x');
  assert.equal(socket.listenerCount('drain'), usual);
});

test('a connection that would have too much wait without a response that is due is closed at once', async (t) => {
  const { client } = await withPausedOutput(t, 1000);
  client.write(get('/').repeat(100));
  assert.deepEqual(await client.rest().then(({ bytes, error }) => [bytes, error]), [0, undefined]);
});
