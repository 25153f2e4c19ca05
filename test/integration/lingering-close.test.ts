/** An answer that comes while its client is still sending is read, not lost to a reset. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder } from '../support/regions.ts';
import { put, startWritable, type Writable } from '../support/writable.ts';

const mebibyte = 1 << 20;
const length = `Content-Length: ${64 * mebibyte}\r\n`;
const json = 'Content-Type: application/json\r\n';

/** The status, and a head whose request goes on for long; what goes on is no request of its own. */
const early: Readonly<Record<string, readonly [status: number, head: string]>> = {
  'a body that is too large': [413, `POST /leases HTTP/1.1\r\nHost: localhost\r\n${json}${length}`],
  'a patch that is too large': [
    413,
    `PATCH /regions/x.bin HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/merge-patch+json\r\n${length}`,
  ],
  'a precondition that fails': [412, `PUT /regions/x.bin HTTP/1.1\r\nHost: localhost\r\nIf-Match: "x"\r\n${length}`],
  'a type that is not taken': [415, `PATCH /regions/x.bin HTTP/1.1\r\nHost: localhost\r\n${json}${length}`],
  'a coding that is not taken': [
    415,
    `PUT /regions/x.bin HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\n${length}`,
  ],
  'a region that is not there': [
    404,
    `PATCH /regions/none HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/merge-patch+json\r\n${length}`,
  ],
  'no token': [401, `PUT /regions/y.bin HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\n${length}`],
  'no room': [507, `PUT /regions/y.bin HTTP/1.1\r\nHost: localhost\r\n${length}`],
  'a host that is none': [400, `PUT /regions/y.bin HTTP/1.1\r\nHost: a b\r\n${length}`],
  'another version of HTTP': [505, `PUT /regions/y.bin HTTP/2.0\r\nHost: localhost\r\n${length}`],
  'a method that is not answered': [405, `POST /metrics HTTP/1.1\r\nHost: localhost\r\n${length}`],
  'a request that is none': [400, `PUT /regions/y.bin\r\nHost : localhost\r\n${length}`],
  'a chunk that is none': [400, 'PUT /regions/y.bin HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n'],
  'a head that is too large': [431, `GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(40_000)}`],
};

async function start(t: TestContext): Promise<Writable> {
  const tokens = join(makeFolder(t, 'tmpfs'), 'tokens');
  writeFileSync(tokens, 'right\n');
  const running = await startWritable(t, 'tmpfs', { maxBytes: 32 * mebibyte });
  await put(t, running, 'x.bin', Buffer.alloc(100));
  return running;
}

/** Sends for as long as the connection takes it, without reading, and then reads. */
async function sendOn(client: RawClient, head: string): Promise<void> {
  client.write(`${head}\r\n`);
  const piece = Buffer.alloc(mebibyte, 'x');
  let failed = false;
  client.socket.once('error', () => {
    failed = true;
  });
  for (let sent = 0; sent < 16 && !failed; sent++) {
    const taken = Promise.withResolvers<void>();
    client.socket.write(piece, () => taken.resolve());
    await taken.promise;
  }
}

for (const [what, [status, head]] of Object.entries(early)) {
  test(`the answer to ${what} (${status}) is read by a client that sends first`, async (t) => {
    const running = status === 401 ? await startWithToken(t) : await start(t);
    const client = await RawClient.connect(t, running.port);
    await sendOn(client, head);
    assert.equal((await client.response()).status, status);
    client.end();
    assert.deepEqual((await client.rest()).error, undefined);
    client.destroy();
  });
}

async function startWithToken(t: TestContext): Promise<Writable> {
  const tokens = join(makeFolder(t, 'tmpfs'), 'tokens');
  writeFileSync(tokens, 'right\n');
  return startWritable(t, 'tmpfs', { writeTokenFile: tokens });
}

test('a client that goes on sending behind the last answer is left after a while', async (t) => {
  const running = await start(t);
  const client = await RawClient.connect(t, running.port);
  client.write('GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n');
  assert.equal((await client.response()).status, 505);
  const open = async () =>
    new Promise<number>((resolve) => running.service.app.server.getConnections((_, count) => resolve(count)));
  await until(async () => (await open()) === 0, 'it is closed though its client does not close');
  client.destroy();
});
