/** Nothing that one party could take for a request, and the other for a part of one, is answered as a request. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { amount } from '../support/amount.ts';
import { comparable, connectToLane, fedOf, handedOverOf, writeInPieces } from '../support/lane-answers.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const path = '/regions/file.bin';
const size = 3000;
const content = seededBytes(size, 71);
const secret = '/regions/hidden.bin';

const head = (range: string, fields = '') =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=${range}\r\n${fields}\r\n`;
const hidden = `GET ${secret} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
const farewell = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

async function start(t: TestContext): Promise<Running> {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'file.bin', size, 71);
  writeRegion(dir, 'hidden.bin', 13, 1);
  const running = await startService(t, { engine: 'sendfile', dir });
  // What is hidden is published as well: nobody but a lane that has lost its place would answer it.
  for (const target of [path, secret]) (await connectToLane(t, running, { path: target })).destroy();
  return running;
}

/** All that a connection gets for pieces that are sent one by one, until the service ends it. */
async function answersTo(t: TestContext, { port }: Running, pieces: readonly string[]): Promise<string> {
  const client = await RawClient.connect(t, port);
  client.socket.setNoDelay();
  const got: Buffer[] = [];
  client.socket.on('data', (chunk: Buffer) => got.push(chunk));
  await writeInPieces(client, pieces);
  await client.rest();
  client.destroy();
  return comparable(Buffer.concat(got));
}

/** From one place in a stream to the next that is tried. */
const step = amount(5, 1);

const statuses = (all: string) => [...all.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));

/** Heads of a request whose body is the hidden one, and their answer. */
const bodies: Readonly<Record<string, readonly [head: string, body: string, status: number]>> = {
  'GET with Content-Length': [head('0-9', `Content-Length: ${hidden.length}\r\n`), hidden, 206],
  'POST with Content-Length': [
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${hidden.length}\r\n\r\n`,
    hidden,
    405,
  ],
  'GET in chunks': [
    head('0-9', 'Transfer-Encoding: chunked\r\n'),
    `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
    206,
  ],
};

for (const [what, [ahead, body, status]] of Object.entries(bodies)) {
  test(`the body of a ${what} is no request, cut at any byte, behind what a lane and what Node answers`, async (t) => {
    const running = await start(t);
    const whole = ahead + body;
    for (let at = 0; at <= whole.length; at += step) {
      const before = at % 2 ? head('1-2') : head('1-2,5-6');
      const got = await answersTo(t, running, [before + whole.slice(0, at), whole.slice(at) + farewell]);
      assert.deepEqual(statuses(got), [206, status, 200], `cut at ${at}`);
      assert.ok(!got.includes('content-length: 13\r\n'), `cut at ${at}`);
    }
    assert.ok(handedOverOf(running, 'grammar') > 0);
  });
}

/** What is put into a head, at any byte, and makes it another one, or none. */
const insertions: readonly string[] = [
  ...['\r', '\n', '\r\n', '\n\n', '\r\n\r\n', '\r\n ', '\r\n\t', '\0', ' ', '\t', ' :', ':'],
  ...['Host: other\r\n', 'Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n', '\r\nContent-Length: 5'],
  '\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n',
  '\r\nTransfer-Encoding : chunked\r\n',
  `\r\n\r\n${hidden}`,
];

for (const [nth, inserted] of insertions.entries()) {
  test(`${JSON.stringify(inserted)} at any byte of a head is to lanes what it is to Node`, async (t) => {
    const running = await start(t);
    const node = await startService(t, { engine: 'sendfile', dir: running.service.catalog.tree?.path, express: false });
    const whole = head('0-9', 'X: y\r\n');
    for (let at = nth % step; at <= whole.length; at += step) {
      const damaged = whole.slice(0, at) + inserted + whole.slice(at);
      const pieces = [head('1-2'), damaged, farewell, farewell]; // A body can take the first one.
      const [byLane, byNode] = await Promise.all([running, node].map((service) => answersTo(t, service, pieces)));
      const [one, other] = [statuses(byLane ?? ''), statuses(byNode ?? '')];
      // Where Node can't parse what comes, answers that are not out yet race with the end of the connection.
      const certain = Math.min(one.length, other.length);
      assert.deepEqual(one.slice(0, certain), other.slice(0, certain), `at ${at}`);
      assert.ok(one.length <= 4 && byLane?.startsWith('HTTP/1.1 206 '), `at ${at}`);
    }
  });
}

for (const [what, fields, isHandedOver] of [
  [
    'h2c, which nobody speaks',
    'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n',
    false,
  ],
  ['websocket', 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n', true],
  ['nothing that Connection names', 'Upgrade: h2c\r\n', false],
] as const) {
  test(`requests behind one for an upgrade to ${what} are answered as by Node`, async (t) => {
    const running = await start(t);
    const node = await startService(t, { engine: 'sendfile', dir: running.service.catalog.tree?.path, express: false });
    const pieces = [head('1-2'), head('3-9', fields), head('5-6') + farewell];
    const [byLane, byNode] = await Promise.all([running, node].map((service) => answersTo(t, service, pieces)));
    assert.equal(byLane, byNode);
    assert.equal(handedOverOf(running, 'grammar'), isHandedOver ? 1 : 0);
  });
}

test('a connection changes between lane and Node at every request, and each gets its own answer', async (t) => {
  const running = await start(t);
  const client = await connectToLane(t, running, { path });
  const before = fedOf(running, 'request');
  const rounds = 200;
  for (let at = 0; at < rounds; at++) client.write(head(`${at}-${at + 9}`) + head('9-0') + hidden);
  for (let at = 0; at < rounds; at++) {
    assert.ok((await client.response()).body.equals(content.subarray(at, at + 10)), `round ${at}`);
    assert.equal((await client.response()).status, 416, `round ${at}`);
    assert.equal((await client.response()).body.length, 13, `round ${at}`);
  }
  assert.equal(fedOf(running, 'request') - before, rounds);
  client.destroy();
});
