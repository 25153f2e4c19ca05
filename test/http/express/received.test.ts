/** A head counts only where every byte of its connection is accounted for. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { exactHead, watchHeads } from '../../../src/http/express/received.ts';
import { RawClient } from '../../support/raw.ts';

/** What Node made of a connection: of each request the bytes that had come by then, and its head, if that is known. */
type Seen = { readonly url: string; readonly received: string; readonly head: string | undefined };

/** The accepted end of a connection (Node takes any duplex stream for one), with all that has come so far. */
class Accepted extends Duplex {
  received = '';

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: string, callback: () => void): void {
    callback();
  }
}

function watched(onRequest: (request: IncomingMessage) => void): Server {
  const server = createServer((request, response) => {
    onRequest(request);
    request.resume();
    response.end();
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  watchHeads(server);
  return server;
}

/** Has Node read a stream in these pieces. */
async function readAll(pieces: readonly string[]): Promise<Seen[]> {
  const seen: Seen[] = [];
  const requests: IncomingMessage[] = [];
  const connection = new Accepted();
  const server = watched((request) => {
    requests.push(request);
    seen.push({ url: request.url ?? '', received: connection.received, head: exactHead(request) });
  });
  connection.on('error', () => {});
  connection.on('data', (chunk: Buffer) => {
    connection.received += chunk.toString('latin1');
  });
  server.emit('connection', connection);
  for (const piece of pieces) {
    if (connection.destroyed) break;
    connection.push(Buffer.from(piece, 'latin1'));
    await turn();
  }
  // What was known of earlier requests is known no more.
  for (const request of requests.slice(0, -1)) assert.equal(exactHead(request), undefined);
  connection.destroy();
  server.close();
  return seen;
}

const framingNames = ['content-length', 'transfer-encoding', 'expect', 'upgrade'];

/** The heads that bytes are, to the last one, when they are nothing else: RFC 9112 3 to 5 word for word. */
function headsIn(bytes: string): string[] | undefined {
  const heads: string[] = [];
  for (let rest = bytes; rest !== ''; ) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0 || !isHead(rest.slice(0, end))) return undefined;
    heads.push(rest.slice(0, end + 4));
    rest = rest.slice(end + 4);
  }
  return heads;
}

function isHead(text: string): boolean {
  const [requestLine = '', ...fields] = text.split('\r\n');
  const [method = '', target = '', version = '', ...more] = requestLine.split(' ');
  const isLine = [...method].every((letter) => letter >= 'A' && letter <= 'Z') && method !== '';
  const isTarget = target !== '' && [...target].every((letter) => letter > ' ' && letter <= '~');
  const isAll = more.length === 0 && version === 'HTTP/1.1' && fields.length > 0 && text.length + 4 <= 16 * 1024;
  return isLine && isTarget && isAll && fields.every(isBareField);
}

function isBareField(field: string): boolean {
  const colon = field.indexOf(':');
  const name = field.slice(0, colon);
  const isName = colon > 0 && [...name].every((letter) => /[A-Za-z0-9!#$%&'*+.^_`|~-]/.test(letter));
  const isValue = [...field.slice(colon + 1)].every(
    (letter) => letter === '\t' || (letter >= ' ' && letter !== '\x7f'),
  );
  return isName && isValue && !framingNames.includes(name.toLowerCase());
}

function check(seen: readonly Seen[]): void {
  for (const [at, { received, head }] of seen.entries()) {
    const heads = headsIn(received);
    const right = heads?.length === at + 1 ? heads[at] : undefined;
    assert.equal(head, right, JSON.stringify(received));
  }
}

const field = fc
  .tuple(
    fc.constantFrom('Accept', 'x-y', 'Range', 'Cookie', 'A!'),
    fc.constantFrom(':', ': ', ':\t', ': \t '),
    fc.constantFrom('', 'a', 'bytes=0-1', 'b, c', 'GET / HTTP/1.1', 'é', 'a: b'),
    fc.constantFrom('', ' ', '\t'),
  )
  .map((parts) => `${parts.join('')}\r\n`);

const target = fc.constantFrom('/', '/regions/a', '/a?b=c', '*', 'http://h/a');

const whole = fc
  .tuple(fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'DELETE'), target, fc.array(field, { maxLength: 4 }))
  .map(([method, path, fields]) => `${method} ${path} HTTP/1.1\r\nHost: h\r\n${fields.join('')}\r\n`);

const hidden = 'GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n';

const framed = fc.constantFrom(
  `GET /f HTTP/1.1\r\nHost: h\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
  'GET /f HTTP/1.1\r\nHost: h\r\ncontent-length:0\r\n\r\n',
  `POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
  'GET /f HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n',
  'GET /f HTTP/1.1\r\nHost: h\r\nExpect: nothing\r\n\r\n',
  'GET /f HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
  'GET /f HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n',
  'GET /f HTTP/1.1\r\n\r\n',
  `GET /f HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(15_000)}\r\n\r\n`,
);

const insertions = [
  '\r\n',
  '\r\n\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  '\r\n ',
  '\0',
  ':',
  'X',
  '\x7f',
  'Content-Length: 3\r\n',
];

const damaged = fc
  .tuple(whole, fc.constantFrom(...insertions), fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean())
  .map(([head, inserted, where, before]) => {
    const at = before ? 0 : Math.floor(where * head.length);
    return head.slice(0, at) + inserted + head.slice(at);
  });

function cut(stream: string, places: readonly number[]): string[] {
  const ends = [...new Set(places.map((place) => Math.floor(place * stream.length)))].sort((a, b) => a - b);
  const pieces = ends.map((end, at) => stream.slice(at === 0 ? 0 : ends[at - 1], end));
  return [...pieces, stream.slice(ends.at(-1) ?? 0)].filter((piece) => piece !== '');
}

const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });

test('a head is given exactly when all that the connection has received is whole requests and it is the last', async () => {
  const parts = fc.oneof(
    { weight: 6, arbitrary: whole },
    { weight: 1, arbitrary: framed },
    { weight: 1, arbitrary: damaged },
  );
  const streams = fc.array(parts, { minLength: 1, maxLength: 5 }).map((all) => all.join(''));
  await fc.assert(
    fc.asyncProperty(streams, cuts, async (stream, places) => check(await readAll(cut(stream, places)))),
    { numRuns: 3000 },
  );
});

test('each of several requests is given, when each comes by itself, in whatever pieces', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(whole, cuts), { minLength: 1, maxLength: 5 }), async (all) => {
      const seen = await readAll(all.flatMap(([head, places]) => cut(head, places)));
      assert.deepEqual(
        seen.map(({ head }) => head),
        all.map(([head]) => head),
      );
    }),
    { numRuns: 500 },
  );
});

const simple = 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n';

const losing: Readonly<Record<string, string>> = {
  'an empty line before it': `\r\n${simple}`,
  'a bare line feed': 'GET /a HTTP/1.1\r\nHost: h\nX: y\r\n\r\n',
  'a folded line': 'GET /a HTTP/1.1\r\nHost: h\r\nX: y\r\n z\r\n\r\n',
  'white space before a colon': 'GET /a HTTP/1.1\r\nHost : h\r\n\r\n',
  'a body': 'POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx',
  'an empty body': 'GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n',
  chunks: 'POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  Expect: 'GET /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n',
  Upgrade: 'GET /a HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\n\r\n',
  'HTTP/1.0': 'GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n',
};

for (const [what, head] of Object.entries(losing)) {
  test(`a connection that has had ${what} is known no more`, async () => {
    const seen = await readAll([simple, head, simple, simple]);
    assert.equal(seen[0]?.head, simple);
    for (const { head } of seen.slice(1)) assert.equal(head, undefined);
  });
}

test('a request with bytes behind its head is not given, the next one by itself is', async () => {
  const seen = await readAll([simple + simple, simple, `${simple}GET /`, 'b HTTP/1.1\r\nHost: h\r\n\r\n']);
  const heads = seen.map(({ head }) => head);
  assert.deepEqual(heads, [undefined, simple, simple, undefined, 'GET /b HTTP/1.1\r\nHost: h\r\n\r\n']);
});

test('a head as long as Node takes one is given, a longer one is not', async (t) => {
  const filled = (length: number) => `GET /a HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(length - 33)}\r\n\r\n`;
  assert.equal(filled(16_384).length, 16_384);
  const [longest] = await readAll([filled(16_000)]);
  assert.equal(longest?.head?.length, 16_000);
  const heads: (string | undefined)[] = [];
  const server = createServer({ maxHeaderSize: 100_000 }, (request, response) => {
    heads.push(exactHead(request));
    response.end();
  });
  watchHeads(server);
  const client = await clientOf(t, server);
  for (const head of [filled(16_384), filled(16_385), simple]) {
    client.write(head);
    await client.response();
  }
  assert.deepEqual(heads, [filled(16_384), undefined, undefined]);
});

async function clientOf(t: TestContext, server: Server): Promise<RawClient> {
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return RawClient.connect(t, (server.address() as AddressInfo).port);
}

test('over TCP, a head that comes byte by byte is given as one that comes at once', async (t) => {
  const heads: (string | undefined)[] = [];
  const server = watched((request) => heads.push(exactHead(request)));
  const client = await clientOf(t, server);
  client.socket.setNoDelay();
  for (const byte of simple) {
    client.write(byte);
    await turn();
  }
  await client.response();
  client.write(simple);
  await client.response();
  assert.deepEqual(heads, [simple, simple]);
});

test('a server that is watched twice counts each byte once', async (t) => {
  const heads: (string | undefined)[] = [];
  const server = watched((request) => heads.push(exactHead(request)));
  watchHeads(server);
  const client = await clientOf(t, server);
  const [first, rest] = ['GET /x HTTP/1.1\r\nX: ', 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n'];
  client.write(simple + first);
  await client.response();
  client.write(rest);
  await client.response();
  assert.deepEqual(heads, [undefined, first + rest], 'not what stands inside of it');
  client.write(simple);
  await client.response();
  assert.equal(heads[2], simple);
});

test('a connection that nobody watched has no heads', async (t) => {
  const heads: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    heads.push(exactHead(request));
    response.end();
  });
  const client = await clientOf(t, server);
  client.write(simple);
  await client.response();
  assert.deepEqual(heads, [undefined]);
});
