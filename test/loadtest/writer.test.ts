/** The writer of the benchmark against servers that answer well and badly. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { startWriter } from '../../loadtest/clients/client-process.ts';
import { mostUnanswered, type Writes, Writing } from '../../loadtest/clients/writing.ts';
import { RunScope } from '../../loadtest/run/run-scope.ts';
import { until } from '../support/poll.ts';

const size = 10_000;
const regionBytes = 2 ** 20;

type Asked = { readonly request: IncomingMessage; readonly bytes: number };

async function serve(scope: TestContext, answer: RequestListener): Promise<{ writes: Writes; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    let bytes = 0;
    for await (const chunk of request) bytes += (chunk as Buffer).length;
    asked.push({ request, bytes });
    answer(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { asked, writes: { port, path: '/r', size, regionBytes, rate: 500 } };
}

const good: RequestListener = (_request, response) => void response.writeHead(204).end();

test('it overwrites at pages, inside the region, with as many bytes as it tells', async (scope) => {
  const { writes, asked } = await serve(scope, good);
  const writing = new Writing(writes);
  await until(() => asked.length >= 20, '20 writes');
  const { written, busy, errors, milliseconds } = await writing.end();
  assert.deepEqual([busy, errors], [0, 0]);
  assert.equal(written, asked.length);
  assert.equal(milliseconds.length, written);
  for (const { request, bytes } of asked) {
    const range = request.headers['content-range'] ?? '';
    const [, first, last] = /^bytes (\d+)-(\d+)\/\*$/.exec(range)?.map(Number) ?? [];
    assert.ok(first !== undefined && last !== undefined, range);
    assert.deepEqual([request.method, request.url, last - first + 1, first % 4096], ['PUT', '/r', size, 0]);
    assert.equal(bytes, size);
    assert.ok(last < regionBytes);
  }
  assert.ok(new Set(asked.map(({ request }) => request.headers['content-range'])).size > 5);
});

test('it keeps its rate whatever the answers do, and counts their time from when a write was due', async (scope) => {
  let stalls = 1;
  const { writes, asked } = await serve(scope, (request, response) => {
    setTimeout(() => good(request, response), stalls-- > 0 ? 300 : 0);
  });
  const writing = new Writing({ ...writes, rate: 100 });
  await until(() => asked.length >= 40, '40 writes');
  const { seconds, written, missed, milliseconds } = await writing.end();
  const due = written + missed;
  assert.ok(due >= 40 && due <= seconds * 100 + 1.01, `${due} in ${seconds} s`);
  assert.ok(Math.max(...milliseconds) > 290, 'Node’s timers count whole milliseconds');
});

test('it leaves out what is due while too many are unanswered, and waits for those at its end', async (scope) => {
  const held: (() => void)[] = [];
  const { writes } = await serve(scope, (request, response) => void held.push(() => good(request, response)));
  const writing = new Writing({ ...writes, rate: 1000 });
  await until(() => held.length === mostUnanswered, 'as many as may be unanswered');
  await new Promise((resolve) => setTimeout(resolve, 20));
  const end = writing.end();
  for (const release of held) release();
  const { written, missed, errors } = await end;
  assert.deepEqual([written, errors], [mostUnanswered, 0]);
  assert.ok(missed >= 1);
});

test('a 409 is counted apart; another status is an error', async (scope) => {
  const statuses = [409, 204, 500];
  const { writes, asked } = await serve(scope, (_request, response) => {
    response.writeHead(statuses.shift() ?? 204).end();
  });
  const writing = new Writing({ ...writes, rate: 100 });
  await until(() => asked.length >= 5, '5 writes');
  const { written, busy, errors, firstError } = await writing.end();
  assert.deepEqual([busy, errors, firstError], [1, 1, 'status (500)']);
  assert.equal(written, asked.length - 2);
});

test('a server that breaks off is an error', async (scope) => {
  const { writes, asked } = await serve(scope, (request) => void request.socket.destroy());
  const writing = new Writing({ ...writes, rate: 100 });
  await until(() => asked.length >= 2, '2 writes');
  const { written, errors, firstError } = await writing.end();
  assert.equal(written, 0);
  assert.equal(errors, asked.length);
  assert.ok(firstError);
});

test('in a process of its own it writes from start to end, again and again', async (scope) => {
  const { writes, asked } = await serve(scope, good);
  const run = new RunScope();
  scope.after(() => run.end());
  const writer = startWriter(run, (command) => command, writes);
  for (const rate of [undefined, 1000]) {
    const before = asked.length;
    writer.start(rate);
    await until(() => asked.length >= before + 10, '10 writes');
    const { written, errors, cpuSeconds } = await writer.end();
    assert.deepEqual([written, errors], [asked.length - before, 0]);
    assert.ok(cpuSeconds > 0);
  }
});
