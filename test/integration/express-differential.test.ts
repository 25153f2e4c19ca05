/** Whatever a client sends, it gets from a service whose lanes answer by themselves what it gets from one without. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { amount } from '../support/amount.ts';
import { answersOf, cutAt, untilNoneGranted, withoutOrder, writeInPieces } from '../support/express.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import type { Scope } from '../support/scope.ts';
import { type Running, startService } from '../support/service.ts';

const size = 3000;
const path = '/regions/file.bin';

const patience = 10_000;

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
    for (const request of requests) await client.response(request.slice(0, request.indexOf(' ')));
  }
  await writeInPieces(client, [...end, farewell]);
  await client.rest();
  return withoutOrder(Buffer.concat(got));
}

/** One request after the other, none of which announces a body in chunks. */
const wholeHeads = /^(?:[A-Z]+ \S+ HTTP\/1\.1\r\n(?:(?!Transfer-Encoding)[^\s:]+:[^\r\n]*\r\n)*\r\n)*$/;

/**
 * Both got the same; but where something comes that can't be parsed, or chunks were announced and do not come, Node ends
 * the connection: that and the answers which are not out yet race with each other, without express as well.
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

const bases = (etag: string) =>
  fc.constantFrom(
    'Range: @\r\n',
    'Range: @\r\nAccept: */*\r\n',
    'Authorization: Bearer x\r\nrange:@\r\nConnection: keep-alive\r\n',
    `If-Range: ${etag}\r\nRANGE: \t@\r\n`,
    `Range: @\r\nIf-Range: "other"\r\n`,
    `Range: @\r\nIf-Match: ${etag}\r\n`,
    `Range: @\r\nIf-None-Match: "other"\r\n`,
    `Range: @\r\nIf-None-Match: ${etag}\r\n`,
    '',
    'Accept: x\r\n',
  );

function head(fields: string, range: string, method = 'GET', target = path): string {
  return `${method} ${target} HTTP/1.1\r\nHost: localhost\r\n${fields.replace('@', range)}\r\n`;
}

const places = fc.oneof(
  { weight: 3, arbitrary: fc.constant<number[]>([]) },
  fc.array(fc.double({ min: 0, max: 0.9999, noNaN: true }), { maxLength: 4 }),
);

/** Well-formed requests around one head: most repeat it. */
const request = (fields: string) =>
  fc.oneof(
    { weight: 12, arbitrary: plainRange.map((range) => head(fields, range)) },
    { weight: 1, arbitrary: oddRange.map((range) => head(fields, range)) },
    { weight: 1, arbitrary: plainRange.map((range) => head(fields, range, 'HEAD')) },
    { weight: 1, arbitrary: fc.constantFrom(head('', '', 'GET', '/regions/none'), head('', '', 'DELETE')) },
    { weight: 1, arbitrary: plainRange.map((range) => head(`${fields}X: y\r\n`, range)) },
    { weight: 1, arbitrary: plainRange.map((range) => head(`${fields}Range: bytes=0-3\r\n`, range)) },
    { weight: 1, arbitrary: plainRange.map((range) => head(fields, range, 'GET', `${path}?x`)) },
  );

const step = (fields: string): fc.Arbitrary<Step> =>
  fc.record({
    requests: fc.oneof(
      { weight: 3, arbitrary: fc.array(request(fields), { minLength: 1, maxLength: 1 }) },
      { weight: 1, arbitrary: fc.array(request(fields), { minLength: 1, maxLength: 5 }) },
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
  ' '.repeat(hidden.length),
];

/** A head with something put in or taken out, anywhere or where a line begins. */
const damaged = (fields: string) =>
  fc
    .tuple(
      plainRange.map((range) => head(fields, range)),
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

const end = (fields: string) =>
  fc
    .tuple(
      fc.array(request(fields), { maxLength: 2 }),
      fc.option(damaged(fields), { nil: '', freq: 5 }),
      fc.array(request(fields), { maxLength: 3 }),
      places,
    )
    .map(([before, broken, after, pieces]) => cutAt([...before, broken, ...after].join(''), pieces));

async function startBoth(scope: Scope, options: object = {}): Promise<{ lanes: Running; node: Running; etag: string }> {
  const file = writeRegion(makeFolder(scope, 'tmpfs'), 'file.bin', size, 71);
  const lanes = await startService(scope, { engine: 'sendfile', regions: [file], ...options });
  const node = await startService(scope, { engine: 'sendfile', regions: [file], ...options, express: false });
  const { headers } = await node.service.app.inject({ method: 'HEAD', url: path });
  return { lanes, node, etag: String(headers.etag) };
}

for (const options of [{ engine: 'sendfile' }, { engine: 'splice' }, { engine: 'sendfile', copyBelow: 50 }] as const) {
  test(`random streams of requests, right and wrong, get the same bytes: ${JSON.stringify(options)}`, async (t) => {
    const { lanes, node, etag } = await startBoth(t, options);
    const plays = bases(etag).chain((fields) =>
      fc.record({ steps: fc.array(step(fields), { minLength: 2, maxLength: 8 }), end: end(fields) }),
    );
    let streams = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(plays, { minLength: 1, maxLength: 24 }), async (some) => {
        const got = await Promise.all(some.flatMap((each) => [play(lanes, each), play(node, each)]));
        for (const [at, each] of some.entries()) compare(each, got[2 * at] ?? '', got[2 * at + 1] ?? '');
        streams += some.length;
      }),
      { numRuns: amount(20, 200) },
    );
    const answers = answersOf(lanes);
    t.diagnostic(`${streams} streams, ${answers} requests answered by a lane`);
    assert.ok(answers > streams / 10, `${answers} answers by lanes in ${streams} streams`);
    assert.equal(answersOf(node), 0);
    await untilNoneGranted(lanes);
  });
}
