/** How long a client is read that goes on sending behind its answer. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { boundRest, linger } from '../../src/node/lingering.ts';
import { answerOneByOne } from '../../src/node/pipeline.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';

const usual = { milliseconds: 60_000, silentMilliseconds: 60_000, bytes: 2 ** 30 };
const head = 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n';

/** A connection to a server, and the server's end of it. */
async function connected(t: TestContext, server: Server): Promise<{ client: RawClient; socket: Socket }> {
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const arrived = once(server, 'connection');
  const client = await RawClient.connect(t, (server.address() as AddressInfo).port);
  client.write(head);
  const [socket] = (await arrived) as [Socket];
  return { client, socket };
}

const limits = {
  'the time is over': { ...usual, milliseconds: 50 },
  'it was silent for long': { ...usual, silentMilliseconds: 50 },
  'it has sent too much': { ...usual, bytes: 1000 },
};

for (const [what, limit] of Object.entries(limits)) {
  test(`a client behind the last answer is read until ${what}`, async (t) => {
    const server = createServer(({ socket }) => {
      socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
      linger(socket, limit);
    });
    answerOneByOne(
      server,
      () => {},
      () => {},
    );
    const { client, socket } = await connected(t, server);
    assert.equal((await client.response()).status, 400);
    client.write('x'.repeat(2000));
    await until(() => socket.destroyed, 'it is closed');
    client.destroy();
  });
}

for (const [what, limit] of Object.entries(limits)) {
  if (what.includes('silent')) continue; // That is the deadline of every body.
  test(`the rest of a body behind its answer is read until ${what}`, async (t) => {
    const closed: string[] = [];
    const server = createServer((request, response) => {
      boundRest(request, response, () => closed.push(what), limit);
      response.end();
    });
    const { client, socket } = await connected(t, server);
    assert.equal((await client.response()).fields.get('connection'), 'keep-alive');
    client.write('x'.repeat(2000));
    await until(() => socket.destroyed, 'it is closed');
    assert.deepEqual(closed, [what]);
    client.destroy();
  });
}
