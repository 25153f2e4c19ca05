/** Clients that ask without reading, or announce what they do not send: bounded, and others are served meanwhile. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceOptions } from '../../src/service.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { codeOf } from '../support/requests.ts';
import { put, startWritable, type Writable } from '../support/writable.ts';

type Watched = Writable & { readonly sockets: Socket[]; readonly unanswered: Map<Socket, number> };

/** A service, its sockets, and how many of each one's requests were begun and have no whole answer yet. */
async function start(t: TestContext, options: Partial<ServiceOptions> = {}): Promise<Watched> {
  const running = await startWritable(t, 'tmpfs', options);
  const { server } = running.service.app;
  const sockets: Socket[] = [];
  const unanswered = new Map<Socket, number>();
  server.on('connection', (socket) => sockets.push(socket));
  server.on('request', ({ socket }, response: ServerResponse) => {
    unanswered.set(socket, (unanswered.get(socket) ?? 0) + 1);
    response.once('close', () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1));
  });
  return { ...running, sockets, unanswered };
}

const metrics = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** A connection that asks for 64 KB of metrics, and reads nothing. */
async function flood(t: TestContext, running: Watched): Promise<RawClient> {
  const client = await RawClient.connect(t, running.port);
  client.write(metrics.repeat(Math.ceil(65_536 / metrics.length)));
  return client;
}

/** How many connections were closed on clients for this. */
async function closedFor({ service }: Watched, misuse: string): Promise<number> {
  const { body } = await service.app.inject({ url: '/metrics', headers: { host: 'localhost' } });
  const [, count] =
    new RegExp(`^pagerelay_closed_connections_total\\{misuse="${misuse}"\\} (\\d+)$`, 'm').exec(body) ?? [];
  return Number(count ?? assert.fail(body.slice(0, 300)));
}

function isStuck(socket: Socket): boolean {
  return socket.writableLength > 0;
}

for (const express of [true, false]) {
  test(`one answer at most waits for each client that reads none, ${express ? 'with' : 'without'} express`, async (t) => {
    const running = await start(t, { express });
    await put(t, running, 'x.bin', Buffer.alloc(100));
    const clients = [];
    for (let each = 0; each < 12; each++) clients.push(await flood(t, running));
    let most = 0;
    const stuck = () => {
      most = Math.max(most, ...running.unanswered.values());
      return running.sockets.filter(isStuck).length === clients.length;
    };
    await until(stuck, 'every one of them has not read');
    assert.equal(most, 1);
    for (const socket of running.sockets.filter(isStuck)) {
      assert.ok(socket.writableLength < 1 << 20, `${socket.writableLength} bytes wait`);
    }
    const other = await RawClient.connect(t, running.port);
    other.get('/regions/x.bin', '0-9');
    assert.equal((await other.response()).status, 206);
    for (const client of [...clients, other]) client.destroy();
  });
}

test('a client that does not read an answer is broken off after --max-hold', async (t) => {
  const running = await start(t, { maxHold: 0.3 });
  const client = await flood(t, running);
  await until(() => running.sockets.length === 1 && running.sockets.every(({ destroyed }) => destroyed), 'it is');
  assert.equal(await closedFor(running, 'unread'), 1);
  client.destroy();
});

const silent: Readonly<Record<string, string>> = {
  'POST /leases': 'Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{',
  'PATCH /regions/x.bin': 'Content-Type: application/merge-patch+json\r\nContent-Length: 1000\r\n\r\n{',
  'PUT /regions/x.bin': 'Content-Length: 1000\r\n\r\nx',
  'PUT /regions/new.bin': 'Transfer-Encoding: chunked\r\n\r\n5\r\nx',
  'PUT /leases/none': 'Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{',
};

for (const [target, rest] of Object.entries(silent)) {
  test(`${target} whose body stops coming is answered 408, and the connection ends`, async (t) => {
    const running = await start(t, { bodyTimeout: 0.2 });
    await put(t, running, 'x.bin', Buffer.alloc(100));
    const client = await RawClient.connect(t, running.port);
    client.write(`${target} HTTP/1.1\r\nHost: localhost\r\n${rest}`);
    const answer = await client.response();
    assert.deepEqual([answer.status, codeOf(answer)], [408, 'request-timeout']);
    assert.equal(answer.fields.get('connection'), 'close');
    assert.deepEqual(await client.rest().then(({ bytes, error }) => [bytes, error]), [0, undefined]);
    client.destroy();
    await until(() => [...running.unanswered.values()].every((count) => count === 0), 'its request is over');
    assert.equal(await closedFor(running, 'silent'), 1);
  });
}

test('a body that stops coming behind its answer ends the connection', async (t) => {
  const running = await start(t, { bodyTimeout: 0.2 });
  for (const request of ['GET /healthz', 'POST /metrics', 'PUT /regions/.pagerelay/x']) {
    const client = await RawClient.connect(t, running.port);
    client.write(`${request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx`);
    await client.response();
    assert.deepEqual((await client.rest()).bytes, 0, request);
    client.destroy();
  }
});

test('a body that goes on coming slowly is taken', async (t) => {
  const running = await start(t, { bodyTimeout: 2 });
  const client = await RawClient.connect(t, running.port);
  client.write('PUT /regions/slow.bin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n');
  // Longer than it may be silent, in all.
  for (let each = 0; each < 5; each++) {
    await delay(500);
    client.write('x');
  }
  assert.equal((await client.response()).status, 201);
  client.destroy();
});
