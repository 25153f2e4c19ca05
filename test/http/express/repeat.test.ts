/** Which heads may be repeated, and what a lane completes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { repeatOf, responseHead } from '../../../src/http/express/repeat.ts';

const line = 'GET /regions/a HTTP/1.1\r\n';
const host = 'Host: a\r\n';

function withFields(...fields: string[]): string {
  return `${line}${host}${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
}

const plain = ['bytes=0-0', 'bytes=7-', 'bytes=-9', 'bytes=00012-345', 'bytes=0-99999999999999999999999'];

for (const value of plain) {
  test(`a head with the range ${value} may be repeated with another one`, () => {
    for (const blanks of ['', ' ', '\t', ' \t  ']) {
      const head = withFields(`Range:${blanks}${value}`, 'Accept: */*');
      const without = withFields(`Range:${blanks}`, 'Accept: */*');
      assert.deepEqual(repeatOf(head), {
        request: without,
        rangeAt: without.indexOf(`Range:${blanks}`) + 6 + blanks.length,
      });
    }
  });
}

test('a head without a range may be repeated as it is', () => {
  const head = withFields('Authorization: Bearer x', 'If-Range: "a"', 'X-Range: bytes=0-1', 'Accept-Range: x');
  assert.deepEqual(repeatOf(head), { request: head, rangeAt: head.length });
});

const notPlain = [
  '',
  'bytes',
  'bytes=',
  'bytes=-',
  'bytes=1',
  'bytes=1-2,3-4',
  'bytes=1-2,',
  'bytes=1 -2',
  'bytes= 1-2',
  'bytes=1-2 ',
  'bytes=1-2\t',
  'bytes=+1-2',
  'bytes=1-2-3',
  'bytes=--2',
  'bytes=0x1-2',
  'bytes=1-2;q=1',
  'Bytes=1-2',
  'BYTES=1-2',
  'items=1-2',
  'bytes=١-٢',
  'bytes=1-2\0',
];

for (const value of notPlain) {
  test(`the range ${JSON.stringify(value)} is not one for a lane`, () => {
    assert.equal(repeatOf(withFields(`Range: ${value}`)), undefined);
  });
}

test('more than one Range field is not for a lane, however they are written', () => {
  for (const other of ['Range: bytes=0-1', 'range:bytes=0-1', 'RANGE:', 'Range: bytes=2-3']) {
    assert.equal(repeatOf(withFields('Range: bytes=0-1', other)), undefined);
    assert.equal(repeatOf(withFields(other, 'X: y', 'Range: bytes=0-1')), undefined);
  }
});

test('methods other than GET are not for a lane', () => {
  for (const method of ['HEAD', 'PUT', 'POST', 'DELETE', 'get', 'GETX', 'OPTIONS']) {
    assert.equal(repeatOf(withFields().replace('GET', method)), undefined);
  }
});

const connections: readonly (readonly [fields: string[], may: boolean])[] = [
  [['Connection: keep-alive'], true],
  [['connection:keep-alive'], true],
  [['CONNECTION:  Keep-Alive \t'], true],
  [['Connection: keep-alive', 'Connection: keep-alive'], true],
  [['Connection: close'], false],
  [['Connection: keep-alive', 'Connection: close'], false],
  [['Connection: keep-alive, close'], false],
  [['Connection: keep-alive, Range'], false],
  [['Connection:'], false],
  [['Connection: upgrade'], false],
  [['Connection: x'], false],
  [['Proxy-Connection: close'], true],
];

for (const [fields, may] of connections) {
  test(`${JSON.stringify(fields)} ${may ? 'leaves' : 'takes'} a request ${may ? 'to' : 'from'} a lane`, () => {
    assert.equal(repeatOf(withFields(...fields)) !== undefined, may);
    assert.equal(repeatOf(withFields(...fields, 'Range: bytes=0-1')) !== undefined, may);
  });
}

/** Bytes that stand in heads, and that are dangerous there. */
const shreds = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: fc.constantFrom(...'abR:-=019, \t'), maxLength: 8 }) },
  fc.constantFrom('Range: bytes=', 'range:', 'bytes=1-2', 'Connection: ', 'keep-alive', '\r\n', '\r', '\n', '\0', 'é'),
);

test('what is cut out is one plain range, and the rest is the head itself', () => {
  const heads = fc.array(shreds, { maxLength: 12 }).map((parts) => `${line}${host}${parts.join('')}\r\n\r\n`);
  const digits = fc.array(fc.constantFrom(...'0123456789'), { minLength: 1, maxLength: 25 }).map((all) => all.join(''));
  fc.assert(
    fc.property(heads, digits, digits, (head, first, last) => {
      const repeat = repeatOf(head);
      if (!repeat) return;
      const { request, rangeAt } = repeat;
      const cut = head.length - request.length;
      assert.equal(request.slice(0, rangeAt) + head.slice(rangeAt, rangeAt + cut) + request.slice(rangeAt), head);
      if (cut === 0) return assert.equal(rangeAt, head.length);
      assert.match(head.slice(rangeAt, rangeAt + cut), /^bytes=(?:[0-9]+-[0-9]*|-[0-9]+)$/);
      assert.match(request.slice(0, rangeAt), /\r\nrange:[ \t]*$/i);
      assert.ok(request.slice(rangeAt).startsWith('\r\n'));
      // Whatever plain range stands there, it is the same request.
      for (const range of [`${first}-${last}`, `${first}-`, `-${last}`]) {
        const other = `${request.slice(0, rangeAt)}bytes=${range}${request.slice(rangeAt)}`;
        assert.deepEqual(repeatOf(other), repeat);
      }
    }),
    { numRuns: 20_000 },
  );
});

const common = 'etag: "a"\r\ndate: x\r\n';

test('the head of a range loses what depends on the range, wherever it stands', () => {
  const fields = ['Content-Length: 10\r\n', 'content-range: bytes 0-9/100\r\n', common];
  for (const at of [0, 1, 2]) {
    const turned = [...fields.slice(at), ...fields.slice(0, at)].join('');
    assert.equal(
      responseHead(`HTTP/1.1 206 Partial Content\r\n${turned}\r\n`, true),
      `HTTP/1.1 206 Partial Content\r\n${common}`,
    );
  }
});

test('the head of a whole region stays as it is', () => {
  const head = `HTTP/1.1 200 OK\r\n${common}content-length: 100\r\n\r\n`;
  assert.equal(responseHead(head, false), head);
});

const unfit: readonly (readonly [why: string, head: string, ranged: boolean])[] = [
  ['another status', `HTTP/1.1 404 Not Found\r\n${common}\r\n`, false],
  ['the whole, where a range was asked for', `HTTP/1.1 200 OK\r\n${common}content-length: 1\r\n\r\n`, true],
  ['a range, where none was asked for', `HTTP/1.1 206 Partial Content\r\n${common}\r\n`, false],
  ['chunks', `HTTP/1.1 200 OK\r\n${common}Transfer-Encoding: chunked\r\n\r\n`, false],
  ['a trailer', `HTTP/1.1 200 OK\r\n${common}trailer: x\r\ncontent-length: 1\r\n\r\n`, false],
  ['the end of the connection', `HTTP/1.1 200 OK\r\n${common}Connection: close\r\ncontent-length: 1\r\n\r\n`, false],
  ['two lengths', `HTTP/1.1 206 Partial Content\r\ncontent-length: 1\r\ncontent-length: 1\r\n${common}\r\n`, true],
  ['several parts', 'HTTP/1.1 206 Partial Content\r\ncontent-length: 1\r\ncontent-range: bytes 0-0/*\r\n\r\n', true],
];

for (const [why, head, ranged] of unfit) {
  test(`a head that says ${why} is not one for a lane`, () => assert.equal(responseHead(head, ranged), undefined));
}
