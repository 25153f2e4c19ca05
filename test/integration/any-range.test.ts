/** Whatever stands in a Range field, the answer is right, and never longer than the region and the heads of its parts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { combineRanges, parse } from 'range-parser';
import { amount } from '../support/amount.ts';
import { shrunkBriefly } from '../support/brief-shrinking.ts';
import { until } from '../support/poll.ts';
import { readContentRange, readParts } from '../support/range-cases.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, writeRegion } from '../support/regions.ts';
import type { Scope } from '../support/scope.ts';
import { type Running, startService } from '../support/service.ts';

const sizes = [0, 1, 11, 1000, 70_001] as const;
type Size = (typeof sizes)[number];

const mostRanges = 64;

/** Bytes of a delimiter, the fields of a part, and line ends, at most. */
const partHead = 160;

type Answer = { readonly status: number; readonly fields: ReadonlyMap<string, string>; readonly body: Buffer };

/** Asks for a region of `size` bytes with `range` as the field's whole value. */
type Ask = (size: Size, range: string) => Promise<Answer>;

const content = new Map(sizes.map((size) => [size, seededBytes(size, size + 1)]));

function contentOf(size: Size): Buffer {
  return content.get(size) ?? Buffer.alloc(0);
}

async function startWithRegions(scope: Scope): Promise<Running> {
  const folder = makeFolder(scope, 'tmpfs');
  const regions = sizes.map((size) => writeRegion(folder, String(size), size, size + 1));
  return startService(scope, { engine: 'sendfile', regions });
}

function askOverTcp(scope: Scope, { port }: Running): Ask {
  let client: RawClient | undefined;
  return async (size, range) => {
    const kept = client ?? (await RawClient.connect(scope, port));
    client = undefined; // A connection that a failure has left in an unknown state is not used again.
    kept.write(`GET /regions/${size} HTTP/1.1\r\nHost: localhost\r\nRange: ${range}\r\n\r\n`);
    const answer = await kept.response();
    client = kept;
    return answer;
  };
}

function askByInject({ service }: Running): Ask {
  return async (size, range) => {
    const url = `/regions/${size}`;
    const { statusCode, headers, rawPayload } = await service.app.inject({ url, headers: { range } });
    const fields = new Map(Object.entries(headers).map(([name, value]) => [name, String(value)]));
    return { status: statusCode, fields, body: rawPayload };
  };
}

/** First and last byte. */
type Pair = readonly [first: number, last: number];

/** What is right: the whole, nothing, or these ranges. */
type Right = 'whole' | 'unsatisfiable' | readonly Pair[];

// RFC 9110 14.1.1 as one expression; 5.6.1.2 for the empty elements.
const spec = '(?:[0-9]+-[0-9]*|-[0-9]+)';
const grammar = new RegExp(`^bytes=[ \\t]*((?:${spec})?(?:[ \\t]*,[ \\t]*(?:${spec})?)*)$`, 'i');

/** Judges by marking every byte that was asked for: unlike what is under test in all but the result. */
function judgeByMarks(field: string, size: Size): Right {
  const set = grammar.exec(field.replace(/^[ \t]+|[ \t]+$/g, ''))?.[1] ?? '';
  const specs = [...set.matchAll(/([0-9]*)-([0-9]*)/g)].map(([, first = '', last = '']) => ({ first, last }));
  const backwards = specs.some(({ first, last }) => first !== '' && last !== '' && BigInt(first) > BigInt(last));
  if (specs.length === 0 || backwards) return /^[ \t]*bytes=/i.test(field) ? 'unsatisfiable' : 'whole';
  // For each byte the place of the first range that holds it, from 1 on.
  const marks = new Uint16Array(size);
  for (const [place, { first, last }] of [...specs.entries()].reverse()) mark(marks, first, last, place + 1);
  const runs = runsOf(marks);
  if (runs.length === 0) return 'unsatisfiable';
  return runs.length > mostRanges ? 'whole' : runs;
}

function mark(marks: Uint16Array, first: string, last: string, place: number): void {
  const size = BigInt(marks.length);
  const start = first === '' ? size - BigInt(last) : BigInt(first);
  const end = first === '' || last === '' ? size : BigInt(last) + 1n;
  marks.fill(place, Number(start < 0n ? 0n : start < size ? start : size), Number(end < size ? end : size));
}

function runsOf(marks: Uint16Array): Pair[] {
  const runs: { first: number; last: number; place: number }[] = [];
  for (const [at, place] of marks.entries()) {
    const run = runs.at(-1);
    if (place === 0) continue;
    if (run?.last !== at - 1) runs.push({ first: at, last: at, place });
    else Object.assign(run, { last: at, place: Math.min(run.place, place) });
  }
  return runs.sort((a, b) => a.place - b.place).map(({ first, last }) => [first, last]);
}

/** Content-Range and bytes of what a 206 holds. */
function piecesOf({ fields, body }: Answer): { contentRange: string; body: Buffer }[] {
  const contentRange = fields.get('content-range');
  return contentRange === undefined ? readParts(fields.get('content-type') ?? '', body) : [{ contentRange, body }];
}

function checkPieces(answer: Answer, right: readonly Pair[], size: Size): void {
  assert.equal(answer.fields.has('content-range'), right.length === 1);
  const pieces = piecesOf(answer);
  assert.deepEqual(
    pieces.map(({ contentRange }) => contentRange),
    right.map(([first, last]) => `bytes ${first}-${last}/${size}`),
  );
  for (const { contentRange, body } of pieces) {
    const { first, last } = readContentRange(contentRange);
    assert.ok(body.equals(contentOf(size).subarray(first, last + 1)), `the bytes of ${contentRange}`);
  }
}

function checkNotAmplified(answer: Answer, size: Size): void {
  const parts = answer.fields.get('content-type')?.startsWith('multipart/') ? piecesOf(answer).length : 0;
  assert.ok(parts <= mostRanges, `${parts} parts`);
  if (answer.status !== 416) assert.ok(answer.body.length <= size + (parts + 1) * partHead, `${answer.body.length}`);
  else assert.ok(answer.body.length < 1000, `${answer.body.length}`);
}

function checkAnswer(answer: Answer, right: Right, size: Size): void {
  assert.equal(answer.fields.get('content-length'), String(answer.body.length));
  const status = right === 'whole' ? 200 : right === 'unsatisfiable' ? 416 : 206;
  assert.equal(answer.status, status);
  checkNotAmplified(answer, size);
  if (right === 'whole') {
    assert.equal(answer.fields.get('content-range'), undefined);
    assert.ok(answer.body.equals(contentOf(size)), 'all of it');
  } else if (right === 'unsatisfiable') {
    assert.equal(answer.fields.get('content-range'), `bytes */${size}`);
    assert.equal((JSON.parse(answer.body.toString()) as { code: string }).code, 'range-not-satisfiable');
  } else {
    checkPieces(answer, right, size);
  }
}

const anySize = fc.constantFrom(...sizes);

/** What a field may hold (RFC 9110 5.5): white space, what is visible, and obs-text. */
const anyField = fc.string({
  unit: fc.oneof(
    fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    fc.constantFrom('\t', '\x80', '\xb2', '\xff'),
  ),
  maxLength: 60,
});

const position = fc.oneof(
  { weight: 6, arbitrary: fc.nat(30).map(String) },
  { weight: 4, arbitrary: fc.nat(1100).map(String) },
  { weight: 2, arbitrary: fc.nat(70_100).map(String) },
  { weight: 2, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.bigInt(0n, 2n ** 70n).map(String) },
  { weight: 1, arbitrary: fc.nat(99).map((number) => `000${number}`) },
);

const pair = fc.tuple(fc.nat(1100), fc.nat(40)).map(([first, more]) => `${first}-${first + more}`);
const element = fc.oneof(
  { weight: 6, arbitrary: pair },
  { weight: 4, arbitrary: fc.tuple(position, position).map(([first, last]) => `${first}-${last}`) },
  { weight: 1, arbitrary: fc.constantFrom('', '-', '--1', '1', 'x', '5-2', '1-2-3', ' 1-2', '1 -2', '+1-2', '0x1-2') },
);
const unit = fc.oneof(
  { weight: 12, arbitrary: fc.constant('bytes=') },
  { weight: 1, arbitrary: fc.constantFrom('Bytes=', 'BYTES=', 'byte=', 'bytes =', 'bytes= ', 'bytes', 'items=', '') },
);
const separator = fc.constantFrom(',', ',', ',', ', ', ' ,', '\t,\t', ',,', ' , ,');

const nearlyWellFormed = fc
  .tuple(unit, separator, fc.array(element, { maxLength: 6 }))
  .map(([prefix, between, elements]) => prefix + elements.join(between));

const scrambled = fc
  .array(fc.constantFrom(...'0123456789--,,= \tbytes'), { maxLength: 20 })
  .map((characters) => `bytes=${characters.join('')}`);

const hundreds = fc
  .tuple(
    fc.array(fc.tuple(fc.nat(70_000), fc.nat(60)), { minLength: 40, maxLength: 700, size: 'max' }),
    fc.constantFrom(1, 10, 70),
  )
  .map(([starts, divisor]) => starts.map(([start, more]) => [Math.floor(start / divisor), more] as const))
  .map((starts) => `bytes=${starts.map(([first, more]) => `${first}-${first + more}`).join(',')}`);

const anyRange = fc.oneof(
  { weight: 2, arbitrary: anyField },
  { weight: 1, arbitrary: anyField.map((text) => `bytes=${text}`) },
  { weight: 6, arbitrary: nearlyWellFormed },
  { weight: 2, arbitrary: scrambled },
  { weight: 2, arbitrary: hundreds },
);

type Way = (scope: Scope, running: Running) => Ask;
const ways: readonly (readonly [way: string, asking: Way, runs: number])[] = [
  ['one kept-alive connection', askOverTcp, amount(1000, 10_000)],
  ['app.inject()', (_, running) => askByInject(running), amount(500, 5000)],
];

for (const [way, asking, numRuns] of ways) {
  test(`any Range field gets the whole, the right ranges or a 416, over ${way}`, async (t) => {
    const running = await startWithRegions(t);
    const ask = asking(t, running);
    const seen: Record<number, number> = { 200: 0, 206: 0, 416: 0 };
    const check = shrunkBriefly(async (size: Size, range: string) => {
      const answer = await ask(size, range);
      checkAnswer(answer, judgeByMarks(range, size), size);
      seen[answer.status] = (seen[answer.status] ?? 0) + 1;
    });
    await fc.assert(fc.asyncProperty(anySize, anyRange, check), { numRuns });
    for (const [status, count] of Object.entries(seen))
      assert.ok(count > numRuns / 50, `${count} answers of ${status}`);
    await until(() => running.service.relay.references().items.length === 0, 'nothing is held');
  });
}

// Where range-parser and the service agree on what to read. It takes any unit and any number of ranges, so neither is
// varied here. A field with an invalid element is invalid as a whole (RFC 9110 14.1.1).
const oracleElement = fc.oneof(
  { weight: 6, arbitrary: pair },
  { weight: 1, arbitrary: fc.nat(1100).map((first) => `${first}-`) },
  { weight: 1, arbitrary: fc.nat(1100).map((length) => `-${length}`) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(30), fc.bigInt(2n ** 53n, 2n ** 70n)).map(([a, b]) => `${a}-${b}`) },
  { weight: 1, arbitrary: fc.bigInt(2n ** 53n, 2n ** 70n).map((first) => `${first}-`) },
  { weight: 1, arbitrary: fc.constantFrom('x', '-', '1', '--1', '1-x', 'y-2', '9-3', '') },
);
const oracleField = fc
  .tuple(fc.constantFrom(',', ', ', '\t,'), fc.array(oracleElement, { minLength: 1, maxLength: 12 }))
  .map(([between, elements]) => `bytes=${elements.join(between)}`);
const oracleSize = fc.constantFrom(11 as const, 1000 as const, 70_001 as const);
const invalid = 1; // the bit of range-parser's code

test('ranges are those that range-parser finds, in its order', async (t) => {
  const ask = askOverTcp(t, await startWithRegions(t));
  const check = shrunkBriefly(async (size: Size, field: string) => {
    const { code, ranges } = parse(size, field);
    const answer = await ask(size, field);
    if (code & invalid || ranges.length === 0) {
      assert.equal(answer.status, 416);
      return;
    }
    assert.equal(answer.status, 206);
    const told = piecesOf(answer).map(({ contentRange }) => readContentRange(contentRange));
    const found = combineRanges(ranges);
    assert.deepEqual(
      told.map(({ first, last }) => [first, last]),
      found.map(({ start, end }) => [start, end]),
    );
  });
  await fc.assert(fc.asyncProperty(oracleSize, oracleField, check), { numRuns: amount(200, 5000) });
});

const count = (length: number) => Array.from({ length }, (_, at) => at);
const attacks: readonly (readonly [form: string, field: string])[] = [
  ['CVE-2011-3192, as published', `bytes=0-,${count(1300).map((at) => `5-${at}`)}`],
  [
    'CVE-2011-3192, well-formed',
    `bytes=0-,${count(1300)
      .slice(5)
      .map((at) => `5-${at}`)}`,
  ],
  ['CVE-2011-3192, the whole 1,000 times', `bytes=${count(1000).map(() => '0-')}`],
  ['CVE-2011-3192, ever shorter ends', `bytes=${count(1000).map((at) => `${at}-`)}`],
  ['CVE-2011-3192, suffixes', `bytes=${count(1000).map((at) => `-${at + 1}`)}`],
  ['CVE-2011-3192, halves that overlap', `bytes=${count(700).map((at) => (at % 2 ? '0-40000' : '30000-'))}`],
  ['CVE-2011-3192, single bytes', `bytes=${count(1500).map((at) => `${at * 2}-${at * 2}`)}`],
  ['CVE-2011-3192, 64 single bytes', `bytes=${count(64).map((at) => `${at * 2}-${at * 2}`)}`],
  ['CVE-2017-7529, as published', 'bytes=-71601,-9223372036854704207'],
  ['CVE-2017-7529, sum of 2^64', 'bytes=-9223372036854775808,-9223372036854775808'],
  ['CVE-2017-7529, largest last', 'bytes=0-9223372036854775807,1-9223372036854775807'],
  ['CVE-2017-7529, wrapping first', 'bytes=18446744073709551615-,0-0'],
];

for (const [form, field] of attacks) {
  test(`no range set amplifies (${form})`, async (t) => {
    const running = await startWithRegions(t);
    for (const ask of [askOverTcp(t, running), askByInject(running)]) {
      for (const size of sizes) checkAnswer(await ask(size, field), judgeByMarks(field, size), size);
    }
  });
}
