import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import { itsTurn } from '../../src/node/turn.ts';

test('pipelined responses have their turns in the order of their requests', async (t) => {
  const turns: string[] = [];
  const first = Promise.withResolvers<ServerResponse>();
  const server = createServer(async (request, response) => {
    assert.equal(await itsTurn(response), true);
    turns.push(request.url ?? '');
    if (request.url === '/1') first.resolve(response);
    else response.end('x');
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const response = await first.promise;
  assert.deepEqual(turns, ['/1'], 'the second waits for the first');
  response.end('x');
  client.resume();
  await once(client, 'end');
  assert.deepEqual(turns, ['/1', '/2']);
});

test('a response whose client goes away first never has its turn', async (t) => {
  const second = Promise.withResolvers<boolean>();
  const asked = Promise.withResolvers<void>();
  const server = createServer(async (request, response) => {
    if (request.url !== '/2') return;
    asked.resolve();
    second.resolve(await itsTurn(response));
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
  await asked.promise;
  client.resetAndDestroy();
  assert.equal(await second.promise, false);
});
