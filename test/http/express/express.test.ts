import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Express, type Pattern } from '../../../src/http/express/express.ts';
import { watchHeads } from '../../../src/http/express/received.ts';
import { SystemError } from '../../../src/relay/relay.ts';

const options = { copyBelow: 0, open: false };
const head = 'HTTP/1.1 206 Partial Content\r\ncontent-length: 2\r\ncontent-range: bytes 0-1/4\r\n\r\n';

/** How many times a connection is granted after a whole answer, while references may be taken or not. */
async function grantsAfterAnswer(t: TestContext, mayTake: () => boolean): Promise<number> {
  const express = new Express(options, mayTake);
  let grants = 0;
  const connection = { isWorthGranting: () => true, grant: () => grants++ };
  const region = { content: { generation: { id: 1 }, epoch: 0, version: 0 }, lastModified: new Date(0) };
  const engines = { usual: 'sendfile', large: 'splice', largeFrom: 65_536 };
  const server = createServer((raw, response) => {
    const request = { raw, url: raw.url, ip: '127.0.0.1', id: '1' };
    const pattern = { reply: { request }, region, plan: { contentRange: 'bytes 0-1/4' }, connection, ...engines };
    response.writeHead(206, { 'content-length': 2 });
    express.after(pattern as unknown as Pattern, response, head, express.revoked);
    response.end('ab');
  });
  watchHeads(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  t.after(() => {
    socket.destroy();
    server.close();
  });
  socket.write('GET / HTTP/1.1\r\nhost: x\r\nrange: bytes=0-1\r\n\r\n');
  await once(socket, 'data');
  socket.end();
  await once(socket, 'close');
  return grants;
}

test('a connection is granted after a whole answer', async (t) => {
  assert.equal(await grantsAfterAnswer(t, () => true), 1);
});

test('no connection is granted while another service has the tree to itself', async (t) => {
  assert.equal(await grantsAfterAnswer(t, () => false), 0);
});

test('no connection is granted where the lock of the tree fails, and nothing else happens', async (t) => {
  const fails = () => {
    throw new SystemError('ENOLCK', 'lock');
  };
  assert.equal(await grantsAfterAnswer(t, fails), 0);
});
