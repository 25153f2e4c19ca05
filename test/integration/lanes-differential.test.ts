/** Whatever a client sends, it gets from a service whose lanes read HTTP what it gets from one where Node does. */
import assert from 'node:assert/strict';
import { statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { amount } from '../support/amount.ts';
import { shrunkBriefly } from '../support/brief-shrinking.ts';
import {
  answersOf,
  comparable,
  cutAt,
  fedOf,
  handedOverOf,
  untilNoneRead,
  writeInPieces,
} from '../support/lane-answers.ts';
import { patience } from '../support/limits.ts';
import { until } from '../support/poll.ts';
import { EndedEarly, RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import type { Scope } from '../support/scope.ts';
import { type Running, startService } from '../support/service.ts';

const size = 3000;
const path = '/regions/file.bin';

// Not a FIN: one that comes before the answer to what can't be parsed has Node leave that out.
const farewell = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

/** Requests that are answered one after the other, in pieces: all are waited for before more is sent. */
type Step = { readonly requests: readonly string[]; readonly pieces: readonly number[] };

/** What one connection sends: steps that are well-formed, then anything, then a farewell. */
type Play = { readonly steps: readonly Step[]; readonly end: readonly string[] };

const show = (play: Play) => JSON.stringify(play);

/** What a connection gets for what it sends; the test fails where the connection is not ended. */
async function play(running: Running, play: Play): Promise<string> {
  const cleanUps: (() => unknown)[] = [];
  const late = new AbortController();
  const limit = delay(patience, undefined, { signal: late.signal }).then(() => assert.fail(`no end: ${show(play)}`));
  try {
    return await Promise.race([playOn({ after: (cleanUp) => void cleanUps.push(cleanUp) }, running, play), limit]);
  } finally {
    late.abort();
    limit.catch(() => {});
    for (const cleanUp of cleanUps) cleanUp();
  }
}

async function playOn(scope: Scope, { port }: Running, { steps, end }: Play): Promise<string> {
  const client = await RawClient.connect(scope, port);
  const got: Buffer[] = [];
  client.socket.on('data', (chunk: Buffer) => got.push(chunk));
  for (const { requests, pieces } of steps) {
    await writeInPieces(client, cutAt(requests.join(''), pieces));
    for (const request of requests) if (!(await isAnswered(client, request))) return comparable(Buffer.concat(got));
  }
  await writeInPieces(client, [...end, farewell]);
  await client.rest();
  return comparable(Buffer.concat(got));
}

/** Waits for the answer to a request. Whether there is one: some end their connection. */
async function isAnswered(client: RawClient, request: string): Promise<boolean> {
  try {
    await client.response(request.slice(0, request.indexOf(' ')));
    return true;
  } catch (error) {
    if (error instanceof EndedEarly) return false;
    throw error;
  }
}

/** One request after the other, none of which announces a body in chunks. */
const wholeHeads = /^(?:[A-Z]+ \S+ HTTP\/1\.[01]\r\n(?:(?!Transfer-Encoding)[^\s:]+:[^\r\n]*\r\n)*\r\n)*$/;

/**
 * Both got the same; but where something comes that can't be parsed, or chunks were announced and do not come, Node ends
 * the connection: that and the answers which are not out yet race with each other, where Node reads.
 */
function compare(play: Play, byLanes: string, byNode: string): void {
  const [one, other] = [byLanes, byNode].map((all) => all.split(/(?=HTTP\/1\.1 \d{3} )/)) as [string[], string[]];
  const isRace = !wholeHeads.test(play.end.join(''));
  const certain = isRace ? Math.min(one.length, other.length) - 1 : Number.POSITIVE_INFINITY;
  assert.deepEqual(one.slice(0, certain), other.slice(0, certain), show(play));
}

const digits = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: size + 20 }).map(String) },
  fc.constantFrom('0', '00', '0007', '2999', '3000', '999999999999999999', '1000000000000000000', '9'.repeat(40)),
);

const plainRange = fc.oneof(
  fc.tuple(digits, digits).map(([first, last]) => `bytes=${first}-${last}`),
  fc.tuple(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 100 })).map(([a, b]) => `bytes=${a}-${a + b}`),
  digits.map((first) => `bytes=${first}-`),
  digits.map((last) => `bytes=-${last}`),
);

const oddRange = fc.constantFrom(
  'bytes=0-1,5-6',
  'bytes=0-1, 2-3',
  'bytes=0-1,',
  'bytes=,0-1',
  'Bytes=0-9',
  'BYTES=0-9',
  'bytes =0-9',
  'bytes= 0-9',
  'bytes=0 - 9',
  'bytes=0-9 ',
  'bytes=0-9\t',
  ' bytes=0-9',
  'bytes=9-0',
  'bytes=-',
  'bytes=a-b',
  'bytes=0-9-10',
  'bytes=0x0-9',
  'items=0-9',
  'bytes=+0-9',
  'bytes=0-9;',
  '',
);

/** Dates in each form, right and wrong (RFC 9110 5.6.7). */
const otherDates = [
  'Fri, 31 Dec 2100 00:00:00 GMT',
  'Sat, 01 Jan 2000 00:00:00 GMT',
  'Sun, 01 Jan 2000 00:00:00 GMT',
  'sat, 01 Jan 2000 00:00:00 GMT',
  'Sat, 1 Jan 2000 00:00:00 GMT',
  'Sat,  1 Jan 2000 00:00:00 GMT',
  'Sat, 01 Jan 2000 00:00:00  GMT',
  'Sat, 01 jan 2000 00:00:00 GMT',
  'Sat, 01 Jan 2000 00:00:00 UTC',
  'Fri, 31 Dec 1999 23:59:60 GMT',
  'Fri, 31 Dec 1999 24:00:00 GMT',
  'Wed, 30 Feb 2000 00:00:00 GMT',
  'Sat, 01 Jan 0099 00:00:00 GMT',
  'Fri, 31 Dec 9999 23:59:59 GMT',
  'Saturday, 01-Jan-00 00:00:00 GMT',
  'Saturday, 31-Dec-95 00:00:00 GMT',
  'Sat Jan  1 00:00:00 2000',
  '2000-01-01T00:00:00Z',
  'x',
  '',
];

/** Validators of the regions. */
type Validators = { readonly etag: string; readonly lastModified: string };

/** Fields that decide what the answer is; `@` is the value of Range. */
const deciding = ({ etag, lastModified }: Validators) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('Range: @\r\n', 'range:@\r\n', 'RANGE: \t@ \t\r\n') },
    { weight: 1, arbitrary: fc.constant('') },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        ...[etag, `W/${etag}`, '"other"', `"other", ${etag}`, '*', '"', etag.slice(1), ''].flatMap((tag) => [
          `If-None-Match: ${tag}\r\n`,
          `Range: @\r\nIf-None-Match: ${tag}\r\n`,
          `Range: @\r\nIf-Range: ${tag}\r\n`,
          `Range: @\r\nIf-Match: ${tag}\r\n`,
        ]),
      ),
    },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        ...[lastModified, ...otherDates].flatMap((date) => [
          `If-Modified-Since: ${date}\r\n`,
          `If-Unmodified-Since: ${date}\r\nIf-Modified-Since: ${date}\r\n`,
          `Range: @\r\nIf-Unmodified-Since: ${date}\r\nIf-Match: ${etag}\r\n`,
          `If-Modified-Since: ${date}\r\nIf-None-Match: ${etag}\r\n`,
          `Range: @\r\nIf-Modified-Since: ${date}\r\nIf-None-Match: "other"\r\n`,
          `Range: @\r\nIf-Unmodified-Since: ${date}\r\n`,
          `Range: @\r\nIf-Range: ${date}\r\n`,
        ]),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        'Range: @\r\nRange: bytes=0-3\r\n',
        `Range: @\r\nIf-Range: ${etag}\r\nIf-Range: ${etag}\r\n`,
        `If-None-Match: "other"\r\nIf-None-Match: ${etag}\r\n`,
      ),
    },
  );

/** Fields that decide nothing, or about the connection. */
const besides = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'Accept: */*\r\n',
      'X-Request-Id: 4711\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n',
      'Authorization: Bearer x\r\nConnection: keep-alive\r\n',
      'Cookie: a=b\r\nAccept-Encoding: gzip\r\nUser-Agent: x\r\nReferer: y\r\n',
      'Connection: TE\r\nTE: trailers\r\n',
      'Connection: x\r\nX: y\r\n',
      'Origin: https://example.org\r\n',
      'Origin: null\r\n',
      'Origin: https://other.example\r\nAccess-Control-Request-Method: GET\r\n',
      'Content-Type: text/plain\r\n',
      'Content-Length: 0\r\n',
      'X:\r\nY: \t \r\nZ:\t\xe9\xff\r\n',
    ),
  },
);

const targets = ({ etag }: Validators) =>
  fc.oneof(
    { weight: 8, arbitrary: fc.constant(path) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(etag, `"x${etag.slice(2)}`, '"x"').map((tag) => `${path}?version=${tag.slice(1, -1)}`),
    },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        '/regions/%66ile.bin',
        '/regions/a%20b.bin',
        '/regions/d/%C3%A9',
        '/regions/empty.bin',
      ),
    },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        ...[`${path}?x`, `${path}?version=1`, `${path}?`, `${path}/`, `/${path}`, `http://localhost${path}`],
        ...['/regions/none', '/regions/%zz', '/regions/d', '/regions/d/../file.bin', '/healthz', '/none', '/%ff', '*'],
      ),
    },
  );

const hosts = fc.oneof(
  { weight: 12, arbitrary: fc.constant('localhost') },
  { weight: 1, arbitrary: fc.constantFrom('LOCALHOST', '127.0.0.1:80', 'a.localhost', 'evil.example', '') },
);

const methods = fc.oneof(
  { weight: 10, arbitrary: fc.constant('GET') },
  { weight: 2, arbitrary: fc.constant('HEAD') },
  { weight: 1, arbitrary: fc.constantFrom('DELETE', 'OPTIONS', 'get', 'POST') },
);

const ranges = fc.oneof({ weight: 5, arbitrary: plainRange }, { weight: 1, arbitrary: oddRange });

const places = fc.oneof(
  { weight: 3, arbitrary: fc.constant<number[]>([]) },
  fc.array(fc.double({ min: 0, max: 0.9999, noNaN: true }), { maxLength: 4 }),
);

/** What follows the target of a well-formed request behind which its connection goes on, or ends. */
const going = fc.oneof(
  { weight: 12, arbitrary: fc.constant((host: string) => `HTTP/1.1\r\nHost: ${host}\r\n`) },
  { weight: 1, arbitrary: fc.constant((host: string) => `HTTP/1.0\r\nHost: ${host}\r\nConnection: keep-alive\r\n`) },
);
const ending = fc.constantFrom(
  (host: string) => `HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n`,
  (host: string) => `HTTP/1.1\r\nConnection: keep-alive, Close\r\nHost: ${host}\r\n`,
  (host: string) => `HTTP/1.0\r\nHost: ${host}\r\n`,
  () => 'HTTP/1.0\r\n',
  () => 'HTTP/1.1\r\n',
  (host: string) => `HTTP/1.1\r\nHost: ${host}\r\nHost: ${host}\r\n`,
);

const request = (validators: Validators, versions: typeof going | typeof ending = going) =>
  fc
    .tuple(methods, targets(validators), versions, hosts, deciding(validators), ranges, besides)
    .map(
      ([method, target, version, host, fields, range, others]) =>
        `${method} ${target} ${version(host)}${fields.replace('@', range)}${others}\r\n`,
    )
    .filter((head) => (head.match(/^connection:/gim) ?? []).length < 2);

const step = (validators: Validators): fc.Arbitrary<Step> =>
  fc.record({
    requests: fc.oneof(
      { weight: 3, arbitrary: fc.array(request(validators), { minLength: 1, maxLength: 1 }) },
      { weight: 1, arbitrary: fc.array(request(validators), { minLength: 1, maxLength: 5 }) },
    ),
    pieces: places,
  });

const hidden = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=7-8\r\n\r\n`;

const insertions = [
  ...[
    '\r\n',
    '\r\n\r\n',
    '\n',
    '\r',
    '\n\n',
    ' ',
    '\t',
    '\0',
    ':',
    ',',
    '-',
    '0',
    '\x7f',
    'é',
    '\r\n ',
    '\r\n\t',
    ' \r\n',
  ],
  ...['Content-Length: 40\r\n', 'Content-Length: 0\r\n', 'Transfer-Encoding: chunked\r\n', 'Content-Length : 40\r\n'],
  ...[
    'Range: bytes=1-2\r\n',
    'Range : bytes=1-2\r\n',
    ' Range: bytes=1-2\r\n',
    'Expect: 100-continue\r\n',
    'Expect: x\r\n',
  ],
  ...['Upgrade: h2c\r\n', 'Connection: Upgrade\r\n', 'Connection: close\r\n', 'Connection: x\r\n', hidden, 'HTTP/1.0'],
  ...['Host: localhost\r\n', 'Host: other\r\n', 'HOST : localhost\r\n', 'Upgrade: websocket\r\n', '\r\n0\r\n\r\n'],
  ' '.repeat(hidden.length),
];

/** A head with something put in or taken out, anywhere or where a line begins. */
const damaged = (validators: Validators) =>
  fc
    .tuple(
      request(validators),
      fc.constantFrom(...insertions),
      fc.double({ min: 0, max: 0.9999, noNaN: true }),
      fc.constantFrom('anywhere', 'line', 'before', 'out'),
    )
    .map(([whole, inserted, where, how]) => {
      const starts = [...whole.matchAll(/\r\n/g)].map(({ index }) => index + 2);
      const anywhere = Math.floor(where * whole.length);
      const line = starts[Math.floor(where * starts.length)] ?? 0;
      const at = how === 'line' ? line : how === 'before' ? 0 : anywhere;
      return how === 'out' ? whole.slice(0, at) + whole.slice(at + 1) : whole.slice(0, at) + inserted + whole.slice(at);
    });

const end = (validators: Validators) =>
  fc
    .tuple(
      fc.array(request(validators), { maxLength: 2 }),
      fc.oneof(fc.constant(''), damaged(validators), damaged(validators), request(validators, ending)),
      fc.array(request(validators), { maxLength: 3 }),
      places,
    )
    .map(([before, broken, after, pieces]) => cutAt([...before, broken, ...after].join(''), pieces));

type Both = Validators & { readonly lanes: Running; readonly node: Running };

async function startBoth(scope: Scope, options: object = {}): Promise<Both> {
  const dir = makeFolder(scope, 'tmpfs');
  writeRegion(dir, 'file.bin', size, 71);
  writeRegion(dir, 'a b.bin', 700, 72);
  writeRegion(dir, 'd/é', 5000, 73);
  writeRegion(dir, 'empty.bin', 0);
  // A date becomes a strong validator when it is a minute old (RFC 9110 8.8.2.2): not while the two are asked.
  const hourAgo = Date.now() / 1000 - 3600;
  for (const name of ['file.bin', 'a b.bin', 'd/é', 'empty.bin']) utimesSync(join(dir, name), hourAgo, hourAgo);
  // So does a version become immutable when no further change of its file could go unseen.
  await until(() => Date.now() - statSync(join(dir, 'empty.bin')).ctimeMs > 1000, 'the files are settled');
  const lanes = await startService(scope, { engine: 'sendfile', lanes: 2, dir, ...options });
  const node = await startService(scope, { engine: 'sendfile', dir, ...options, express: false });
  const { headers } = await node.service.app.inject({ method: 'HEAD', url: path });
  return { lanes, node, etag: String(headers.etag), lastModified: String(headers['last-modified']) };
}

const varied = [{ name: 'vary', value: 'X-Own' }];

for (const options of [
  { engine: 'sendfile' },
  { engine: 'splice', cors: ['*'] },
  { engine: 'sendfile', copyBelow: 50, copyFirstBelow: 400, cors: ['https://example.org'], headers: varied },
] as const) {
  test(`random streams of requests, right and wrong, get the same bytes: ${JSON.stringify(options)}`, async (t) => {
    const { lanes, node, ...validators } = await startBoth(t, options);
    const plays = fc.record({
      steps: fc.array(step(validators), { minLength: 2, maxLength: 8 }),
      end: end(validators),
    });
    let streams = 0;
    const check = shrunkBriefly(async (some: Play[]) => {
      const got = await Promise.all(some.flatMap((each) => [play(lanes, each), play(node, each)]));
      for (const [at, each] of some.entries()) compare(each, got[2 * at] ?? '', got[2 * at + 1] ?? '');
      streams += some.length;
    });
    const property = fc.asyncProperty(fc.array(plays, { minLength: 1, maxLength: 24 }), check);
    // Limits of addresses do not hold on the loopback by default; limits-of-addresses.test.ts compares those answers.
    const isOfLimits = (kind: string) => kind === 'limited' || kind === 'headLimited';
    const answersByKind = () => Object.entries(lanes.service.relay.counters().answers);
    const never = () => answersByKind().filter(([kind, count]) => count === 0 && !isOfLimits(kind));
    const deadline = performance.now() + patience;
    // What is rare can be missing among so few.
    do await fc.assert(property, { numRuns: amount(10, 400) });
    while (never().length > 0 && performance.now() < deadline);
    const { answers, fed, handedOver } = lanes.service.relay.counters();
    t.diagnostic(`${streams} streams; by lanes: ${JSON.stringify({ answers, fed, handedOver })}`);
    assert.deepEqual(never(), [], 'lanes have answered in every way');
    for (const reason of ['unpublished', 'request', 'guard'])
      assert.ok(fedOf(lanes, reason) > 0, `none fed: ${reason}`);
    assert.ok(handedOverOf(lanes, 'grammar') > 0, 'none was handed over');
    assert.equal(answersOf(node), 0);
    await untilNoneRead(lanes);
  });
}
