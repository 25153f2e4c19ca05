/** What a lane does not answer is fed to Node, or handed over with its connection: nothing is lost or made up on the way. */
import assert from 'node:assert/strict';
import { before, type TestContext, test } from 'node:test';
import { countOpen, type Open, untilClosed } from '../support/descriptors.ts';
import { connectionsOf, untilReturned, warmUp } from '../support/holds.ts';
import { connectToLane, handedOverOf, untilNoneRead, writeInPieces } from '../support/lane-answers.ts';
import { until } from '../support/poll.ts';
import { EndedEarly, RawClient } from '../support/raw.ts';
import { seededBytes } from '../support/regions.ts';
import { warmProcess } from '../support/warm-process.ts';
import { fileIn, put, startWritable, type Writable } from '../support/writable.ts';

const size = 6_000_000;
const path = '/regions/file.bin';
const content = seededBytes(size, 61);
const other = seededBytes(5000, 62);

before(warmProcess);

type Fixture = { readonly running: Writable; readonly open: Open };

async function start(t: TestContext): Promise<Fixture> {
  const running = await startWritable(t, 'tmpfs', { engine: 'sendfile' });
  await put(t, running, 'file.bin', content);
  await put(t, running, 'other.bin', other);
  await warmUp(t, running, 'other.bin');
  return { running, open: await warmUp(t, running, 'file.bin') };
}

/** Nothing is held, read by a lane, connected or open. */
async function untilIdle({ running, open }: Fixture): Promise<void> {
  await untilNoneRead(running);
  await untilReturned(running, open);
  await until(async () => (await connectionsOf(running)) === 0, 'Node has no connection');
}

const head = (range: string, fields = '') =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=${range}\r\n${fields}\r\n`;
const request = (method: string, target: string, fields = '', body = '') =>
  `${method} ${target} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n${body}`;

type Answer = { readonly status: number; readonly method?: string; readonly body?: Buffer };

const ranged = (first: number, last: number): Answer => ({ status: 206, body: content.subarray(first, last + 1) });

const body = 'GET / HTTP/1.1\r\n\r\n'.repeat(9);

/** What a client sends on a connection that its lane has, and what it gets. */
const followers: Readonly<Record<string, { readonly sent: readonly string[]; readonly answers: readonly Answer[] }>> = {
  'the same again': { sent: [head('7-99')], answers: [ranged(7, 99)] },
  'another method': { sent: [request('HEAD', path)], answers: [{ status: 200, method: 'HEAD' }] },
  'a method that is not allowed': { sent: [request('POST', path)], answers: [{ status: 405 }] },
  'another path': { sent: [request('GET', '/regions/other.bin')], answers: [{ status: 200, body: other }] },
  'one field more': { sent: [head('1-2', 'X: y\r\n')], answers: [ranged(1, 2)] },
  'a POST with a body': {
    sent: [request('POST', '/leases', `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`, body)],
    answers: [{ status: 400 }],
  },
  'a head whose rest comes later': { sent: [head('5-6').slice(0, 40), head('5-6').slice(40)], answers: [ranged(5, 6)] },
  'a head whose last byte comes later': { sent: [head('5-6').slice(0, -1), '\n'], answers: [ranged(5, 6)] },
  'a head that comes byte by byte': { sent: [...head('50-60')], answers: [ranged(50, 60)] },
  'a range that comes byte by byte': {
    sent: [head('').slice(0, -4), ...'123456-123999\r\n\r\n'],
    answers: [ranged(123_456, 123_999)],
  },
  'the end of one and the beginning of the next': {
    sent: [
      head('1-2') + head('3-4').slice(0, 30),
      head('3-4').slice(30) + head('5-6').slice(0, 3),
      head('5-6').slice(3),
    ],
    answers: [ranged(1, 2), ranged(3, 4), ranged(5, 6)],
  },
  'a mix in one segment': {
    sent: [head('1-2') + head('3-4') + request('HEAD', path) + request('GET', '/regions/other.bin') + head('5-6')],
    answers: [ranged(1, 2), ranged(3, 4), { status: 200, method: 'HEAD' }, { status: 200, body: other }, ranged(5, 6)],
  },
  'a long answer, and another request behind it': {
    sent: [head('0-5000000') + request('GET', '/regions/other.bin') + head('1-1')],
    answers: [ranged(0, 5_000_000), { status: 200, body: other }, ranged(1, 1)],
  },
  'many at once': {
    sent: [Array.from({ length: 300 }, (_, at) => head(`${at}-${at + 7}`)).join('')],
    answers: Array.from({ length: 300 }, (_, at) => ranged(at, at + 7)),
  },
  'what is no request': { sent: ['\0\0\0\r\n\r\n'], answers: [{ status: 400 }] },
  'a request behind an empty line': { sent: [`\r\n${head('1-2')}`], answers: [ranged(1, 2)] },
};

async function check(client: RawClient, { method, status, body }: Answer): Promise<void> {
  const answer = await client.response(method);
  assert.equal(answer.status, status);
  if (body) assert.ok(answer.body.equals(body), `${answer.body.length} bytes, not ${body.length} others`);
}

test('whatever follows on a connection that a lane has is answered as ever', async (t) => {
  const fixture = await start(t);
  for (const [what, { sent, answers }] of Object.entries(followers)) {
    await t.test(what, async (t) => {
      const client = await connectToLane(t, fixture.running, { path });
      client.socket.setNoDelay();
      await writeInPieces(client, sent);
      for (const answer of answers) await check(client, answer);
      if (answers.at(-1)?.status !== 400) {
        client.write(request('GET', '/healthz'));
        await check(client, { status: 200 });
      }
      client.destroy();
      await untilIdle(fixture);
    });
  }
});

test('a body behind requests that a lane answers arrives whole, and is not taken for requests', async (t) => {
  const fixture = await start(t);
  const client = await connectToLane(t, fixture.running, { path });
  const uploaded = seededBytes(700_000, 5);
  const put = request('PUT', '/regions/new.bin', `Content-Length: ${uploaded.length}\r\n`);
  client.socket.write(Buffer.concat([Buffer.from(head('3-4') + put), uploaded, Buffer.from(head('5-6'))]));
  await check(client, ranged(3, 4));
  await check(client, { status: 201 });
  await check(client, ranged(5, 6));
  assert.ok(fileIn(fixture.running, 'new.bin').equals(uploaded));
  client.destroy();
  await untilIdle(fixture);
});

test('a FIN behind requests ends the connection after their answers', async (t) => {
  const fixture = await start(t);
  for (const sent of ['', head('1-2'), head('1-2') + head('0-4000000'), head('1-2') + request('GET', '/healthz')]) {
    const client = await connectToLane(t, fixture.running, { path });
    client.socket.end(sent);
    for (const _ of sent.match(/HTTP/g) ?? []) assert.ok((await client.response()).status < 300);
    await assert.rejects(client.take(1), EndedEarly);
    client.destroy();
    await untilIdle(fixture);
  }
});

const beginning = head('3-4').slice(0, 50);

for (const [by, why, last] of [
  ['a lane', 'last', head('1-2', 'Connection: close\r\n')],
  ['a lane, to HTTP/1.0', 'last', `GET ${path} HTTP/1.0\r\nRange: bytes=1-2\r\n\r\n`],
  ['Node', 'end', request('GET', '/healthz', 'Connection: close\r\n')],
] as const) {
  test(`the last response, by ${by}, is not lost to a reset by what the client sends behind its request`, async (t) => {
    const fixture = await start(t);
    const client = await connectToLane(t, fixture.running, { path });
    client.write(last + beginning);
    await until(() => handedOverOf(fixture.running, why) === 1, 'it is handed over');
    await untilNoneRead(fixture.running);
    for (let more = 0; more < 3; more++) await writeInPieces(client, [head('5-6'), beginning]);
    assert.ok((await client.response()).status < 300);
    client.end();
    assert.equal((await client.rest()).error, undefined);
    client.destroy();
    await untilIdle(fixture);
  });
}

test('a FIN in the middle of a head ends the connection', async (t) => {
  const fixture = await start(t);
  const client = await connectToLane(t, fixture.running, { path });
  client.socket.end(head('1-2') + head('3-4').slice(0, 50));
  await check(client, ranged(1, 2));
  await client.rest();
  client.destroy();
  await untilIdle(fixture);
});

const goings: Readonly<Record<string, (client: RawClient) => void>> = {
  'closes between requests': (client) => client.destroy(),
  'resets between requests': (client) => client.reset(),
  'closes with answers unread': (client) => {
    client.write(head('0-5999999') + head('0-9'));
    setImmediate(() => client.destroy());
  },
  'resets with answers unread': (client) => {
    client.write(head('0-5999999') + head('0-9'));
    setImmediate(() => client.reset());
  },
  'closes in the middle of a head': (client) => {
    client.write(head('0-9').slice(0, 20));
    setImmediate(() => client.destroy());
  },
  'closes after its FIN, with an answer unread': (client) => {
    client.socket.end(head('0-5999999'));
    setImmediate(() => client.destroy());
  },
};

test('a client that goes away leaves nothing behind', async (t) => {
  const fixture = await start(t);
  for (const [how, go] of Object.entries(goings)) {
    await t.test(how, async (t) => {
      for (let again = 0; again < 3; again++) go(await connectToLane(t, fixture.running, { path }));
      await untilIdle(fixture);
    });
  }
});

test('a body that holds a head that a lane would answer, split anywhere, is no request', async (t) => {
  const { running } = await start(t);
  const hidden = head('0-9');
  const put = request('PUT', '/regions/new.bin', `Content-Length: ${hidden.length}\r\n`);
  const whole = put + hidden;
  for (let at = 1; at < whole.length; at++) {
    const client = await connectToLane(t, running, { path });
    client.socket.setNoDelay();
    const sent =
      at % 3 === 0 ? [head('1-3') + whole.slice(0, at), whole.slice(at)] : [whole.slice(0, at), whole.slice(at)];
    await writeInPieces(client, [...sent, request('HEAD', '/regions/other.bin')]);
    if (at % 3 === 0) await check(client, ranged(1, 3));
    assert.ok((await client.response()).status < 205, `split at ${at}`);
    const { status, fields } = await client.response('HEAD');
    assert.deepEqual([status, fields.get('content-length')], [200, String(other.length)], `split at ${at}`);
    client.destroy();
  }
  assert.equal(fileIn(running, 'new.bin').toString(), hidden);
});

test('a request behind a head with many blanks is answered as the request that it is, split anywhere', async (t) => {
  const { running } = await start(t);
  const hidden = request('GET', '/regions/other.bin');
  for (let length = 1; length <= hidden.length; length++) {
    const blanked = head('1-2', `X:${' '.repeat(length)}\r\n`);
    const client = await RawClient.connect(t, running.port);
    client.socket.setNoDelay();
    client.write(blanked);
    await check(client, ranged(1, 2));
    await writeInPieces(client, [blanked + hidden.slice(0, length), hidden.slice(length), blanked + blanked]);
    await check(client, ranged(1, 2));
    await check(client, { status: 200, body: other });
    for (let again = 0; again < 2; again++) await check(client, ranged(1, 2));
    client.destroy();
  }
});

test('what is open is what was open, after all of it', async (t) => {
  const before = countOpen();
  await t.test('a service with connections that lanes read', async (t) => {
    const { running } = await start(t);
    const clients = await Promise.all(Array.from({ length: 20 }, () => connectToLane(t, running, { path })));
    for (const client of clients) client.write(head('0-5999999'));
    await Promise.all(clients.map((client) => client.take(100_000)));
  });
  await untilClosed(before);
});
