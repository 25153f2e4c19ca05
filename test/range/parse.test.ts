import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judgeRange, type RangeVerdict } from '../../src/range/parse.ts';

const whole: RangeVerdict = { kind: 'whole' };
const malformed: RangeVerdict = { kind: 'malformed' };
const unsatisfiable: RangeVerdict = { kind: 'unsatisfiable' };
const single = (first: number, last: number): RangeVerdict => ({ kind: 'single', range: { first, last } });

const multiple = (...pairs: readonly (readonly [number, number])[]): RangeVerdict => ({
  kind: 'multiple',
  ranges: pairs.map(([first, last]) => ({ first, last })),
});

const largest = Number.MAX_SAFE_INTEGER;
const nines = '9'.repeat(400);

const cases: readonly (readonly [source: string, header: string | undefined, size: number, RangeVerdict])[] = [
  ['RFC 9110 14.2, no field', undefined, 1000, whole],
  ['RFC 9110 14.1.2', 'bytes=0-499', 10000, single(0, 499)],
  ['RFC 9110 14.1.2', 'bytes=500-999', 10000, single(500, 999)],
  ['RFC 9110 14.1.2', 'bytes=-500', 10000, single(9500, 9999)],
  ['RFC 9110 14.1.2', 'bytes=9500-', 10000, single(9500, 9999)],
  ['nginx range.t', 'bytes=0-8', 1000, single(0, 8)],
  ['nginx range.t', 'bytes=-10', 1000, single(990, 999)],
  ['nginx range.t', 'bytes=990-', 1000, single(990, 999)],
  ['nginx range.t', 'bytes=990-1990', 1000, single(990, 999)],
  ['nginx range.t', 'bytes=100000-', 1000, unsatisfiable],
  ['Go ServeFileRangeTests', 'bytes=0-4', 11, single(0, 4)],
  ['Go ServeFileRangeTests', 'bytes=2-', 11, single(2, 10)],
  ['Go ServeFileRangeTests', 'bytes=-5', 11, single(6, 10)],
  ['Go ServeFileRangeTests', 'bytes=3-7', 11, single(3, 7)],
  ['Go ServeFileRangeTests', 'bytes=5-1000', 11, single(5, 10)],
  ['Go ServeFileRangeTests', 'bytes=0-11', 11, single(0, 10)],
  ['Go ServeFileRangeTests', 'bytes=10-', 11, single(10, 10)],
  ['Go ServeFileRangeTests', 'bytes=11-', 11, unsatisfiable],
  ['Go ServeFileRangeTests', 'bytes=11-12', 11, unsatisfiable],
  ['Go ServeFileRangeTests', 'bytes=12-100', 11, unsatisfiable],
  ['Apache byterange7', 'bytes=', 8000, malformed],
  ['Apache byterange7', 'bytes=,', 8000, malformed],
  ['Apache byterange7', 'bytes=7-1', 8000, malformed],
  ['Apache byterange7', 'bytes=foo', 8000, malformed],
  ['Apache byterange7', 'bytes=1-4,x', 8000, malformed],
  ['Apache byterange7', 'bytes=1-4,5-2', 8000, malformed],
  ['Apache byterange7', 'bytes=100000-110000', 8000, unsatisfiable],
  ['RFC 9110 14.1.2, suffix longer than the whole', 'bytes=-12', 11, single(0, 10)],
  ['RFC 9110 14.1.2, suffix as long as the whole', 'bytes=-11', 11, single(0, 10)],
  ['RFC 9110 14.1.2, suffix of nothing', 'bytes=-0', 11, unsatisfiable],
  ['RFC 9110 14.1.2, suffix of nothing', 'bytes=-000', 11, unsatisfiable],
  ['RFC 9110 14.1.2, one byte', 'bytes=0-0', 1, single(0, 0)],
  ['RFC 9110 14.1.2, leading zeros', 'bytes=007-0010', 100, single(7, 10)],
  ['RFC 9110 14.1.2, leading zeros', 'bytes=0007-5', 100, malformed],
  ['RFC 9110 14.1, unit in any case', 'BYTES=1-2', 11, single(1, 2)],
  ['RFC 9110 14.1, unit in any case', 'bYtEs=1-2', 11, single(1, 2)],
  ['RFC 9110 14.2, other unit', 'pages=1-2', 11, whole],
  ['RFC 9110 14.2, other unit', 'bytesx=1-2', 11, whole],
  ['RFC 9110 14.2, other unit in an empty region', 'pages=1-2', 0, whole],
  ['RFC 9110 14.1.1, no unit', '1-2', 11, whole],
  ['RFC 9110 14.1.1, no unit', '=1-2', 11, whole],
  ['RFC 9110 14.1.1, no set', 'bytes', 11, whole],
  ['RFC 9110 14.2, empty field', '', 11, whole],
  ['RFC 9110 14.1.1, no digits', 'bytes=-', 11, malformed],
  ['RFC 9110 14.1.1, second dash', 'bytes=1-2-3', 11, malformed],
  ['RFC 9110 14.1.1, second dash', 'bytes=--1', 11, malformed],
  ['RFC 9110 14.1.1, sign', 'bytes=+1-2', 11, malformed],
  ['RFC 9110 14.1.1, not decimal', 'bytes=0x1-2', 11, malformed],
  ['RFC 9110 14.1.1, not decimal', 'bytes=1e0-2', 11, malformed],
  ['RFC 9110 14.1.1, not decimal', 'bytes=1.0-2', 11, malformed],
  ['RFC 9110 14.1.1, digits of another script', 'bytes=\u0661-\u0662', 11, malformed],
  ['RFC 9110 14.1.1, space before =', 'bytes =1-2', 11, whole],
  ['RFC 9110 14.1.2, space after =, as in its example', 'bytes= 1-2', 11, single(1, 2)],
  ['RFC 9110 14.1.1, space inside', 'bytes=1 -2', 11, malformed],
  ['RFC 9110 14.1.1, space inside', 'bytes=1- 2', 11, malformed],
  ['RFC 9110 14.1.1, line end', 'bytes=1-2\n', 11, malformed],
  ['RFC 9110 5.6.3, no-break space', 'bytes=,\u00a01-2', 11, malformed],
  ['RFC 9110 5.5, space around the field', ' \tbytes=1-2\t ', 11, single(1, 2)],
  ['RFC 9110 5.6.1.2, empty elements', 'bytes=,1-2', 11, single(1, 2)],
  ['RFC 9110 5.6.1.2, empty elements', 'bytes=1-2,', 11, single(1, 2)],
  ['RFC 9110 5.6.1.2, empty elements', 'bytes= ,\t, 1-2 ,,\t', 11, single(1, 2)],
  ['RFC 9110 5.6.1.2, only empty elements', 'bytes= , ,', 11, malformed],
  ['RFC 9110 5.3, two fields joined', 'bytes=1-2, bytes=3-4', 11, malformed],
  ['nginx range.t', 'bytes=0-9, -10, 10-19', 1000, multiple([0, 19], [990, 999])],
  ['nginx range.t', 'bytes=0-9, -10, 20-29, 100000-', 1000, multiple([0, 9], [990, 999], [20, 29])],
  ['nginx range.t, but coalesced', 'bytes=0-10001, 0-0', 1000, single(0, 999)],
  ['Apache byterange6', 'bytes=0-70,70-100,1000-1001', 8000, multiple([0, 100], [1000, 1001])],
  ['Apache byterange6', 'bytes=5-10,11-12,99-99', 8000, multiple([5, 12], [99, 99])],
  ['Apache byterange6', 'bytes=5-10,1-3', 8000, multiple([5, 10], [1, 3])],
  ['Apache byterange7', 'bytes=100000-110000,1000-2000', 8000, single(1000, 2000)],
  ['Go ServeFileRangeTests', 'bytes=0-1,5-8', 11, multiple([0, 1], [5, 8])],
  ['Go ServeFileRangeTests', 'bytes=0-1,5-', 11, multiple([0, 1], [5, 10])],
  ['Go ServeFileRangeTests, but coalesced', 'bytes=0-,1-,2-,3-,4-', 11, single(0, 10)],
  ['RFC 9110 14.2, adjacent ranges', 'bytes=0-4,5-9', 11, single(0, 9)],
  [
    'CVE-2011-3192, overlapping ranges',
    `bytes=0-,${Array.from({ length: 1300 }, (_, at) => `5-${at}`)
      .slice(5)
      .join(',')}`,
    8000,
    single(0, 7999),
  ],
  [
    'RFC 9110 14.2, 64 ranges',
    `bytes=${Array.from({ length: 64 }, (_, at) => `${at * 3}-${at * 3}`).join(',')}`,
    8000,
    multiple(...Array.from({ length: 64 }, (_, at) => [at * 3, at * 3] as const)),
  ],
  [
    'RFC 9110 14.2, 65 ranges',
    `bytes=${Array.from({ length: 65 }, (_, at) => `${at * 3}-${at * 3}`).join(',')}`,
    8000,
    { kind: 'whole', because: 'ranges' },
  ],
  ['Go ServeFileRangeTests', 'bytes=0-0,-2', 11, multiple([0, 0], [9, 10])],
  ['RFC 9110 14.2, white space', 'bytes=0-1, 5-8', 11, multiple([0, 1], [5, 8])],
  ['RFC 9110 14.2, several ranges, none satisfiable', 'bytes=11-,12-', 11, unsatisfiable],
  ['Apache maxranges', `bytes=${'0-0,'.repeat(200)}0-0`, 8000, single(0, 0)],
  ['RFC 9110 15.5.17, empty region', 'bytes=0-', 0, unsatisfiable],
  ['RFC 9110 15.5.17, empty region', 'bytes=0-0', 0, unsatisfiable],
  ['RFC 9110 15.5.17, empty region', 'bytes=-5', 0, unsatisfiable],
  ['RFC 9110 14.1.1, empty region, malformed', 'bytes=5-1', 0, malformed],
  ['CVE-2017-7529, digits saturate', `bytes=0-${nines}`, 11, single(0, 10)],
  ['CVE-2017-7529, digits saturate', `bytes=-${nines}`, 11, single(0, 10)],
  ['CVE-2017-7529, digits saturate', `bytes=${nines}-`, 11, unsatisfiable],
  ['CVE-2017-7529, digits saturate', `bytes=${nines}-${nines}`, 11, unsatisfiable],
  ['CVE-2017-7529, digits saturate', `bytes=${nines}8-${nines}7`, 11, malformed],
  ['CVE-2017-7529, 2^64 wraps nothing', 'bytes=18446744073709551616-', 11, unsatisfiable],
  ['CVE-2017-7529, 2^64 wraps nothing', 'bytes=-18446744073709551616', 11, single(0, 10)],
  ['2^53 - 1, the largest region', `bytes=0-${largest}`, largest, single(0, largest - 1)],
  ['2^53 - 1, the largest region', `bytes=${largest - 1}-`, largest, single(largest - 1, largest - 1)],
  ['2^53 - 1, the largest region', `bytes=${largest}-`, largest, unsatisfiable],
  ['above 2^53, where doubles round', 'bytes=9007199254740993-9007199254740992', 11, malformed],
];

for (const [source, header, size, verdict] of cases) {
  const shown = header === undefined ? 'nothing' : JSON.stringify(header.slice(0, 40));
  test(`${shown} in ${size} bytes is ${verdict.kind} (${source})`, () => {
    assert.deepEqual(judgeRange(header, size), verdict);
  });
}

// The grammar as one expression and all numbers as BigInt: slow, but near to the RFC's words.
function judgeNaively(header: string, size: number): RangeVerdict {
  const spec = '(?:[0-9]+-[0-9]*|-[0-9]+)';
  const set = new RegExp(`^[ \t]*bytes=[ \t]*((?:${spec})?(?:[ \t]*,[ \t]*(?:${spec})?)*)[ \t]*$`, 'i').exec(header);
  const found = [...(set?.[1] ?? '').matchAll(/([0-9]*)-([0-9]*)/g)].map(([, a = '', b = '']) => [a, b] as const);
  if (!/^[ \t]*bytes=/i.test(header)) return whole;
  if (found.some(([a, b]) => a !== '' && b !== '' && BigInt(a) > BigInt(b))) return malformed;
  if (found.length === 0) return malformed;
  const runs = joinNaively(found.flatMap(([a, b]) => selectNaively(a, b, BigInt(size))));
  const ranges = runs.map(([first, last]) => [Number(first), Number(last)] as const);
  const [range, ...more] = ranges;
  if (range === undefined) return unsatisfiable;
  return more.length === 0 ? single(...range) : multiple(...ranges);
}

type Interval = readonly [first: bigint, last: bigint];

function selectNaively(a: string, b: string, end: bigint): Interval[] {
  const first = a === '' ? end - BigInt(b) : BigInt(a);
  const last = a === '' || b === '' ? end - 1n : BigInt(b);
  if (first >= end || end === 0n) return [];
  return [[first < 0n ? 0n : first, last < end ? last : end - 1n]];
}

// Joins any two that overlap or touch, into the place of the earlier one, until there are none.
function joinNaively(intervals: readonly Interval[]): readonly Interval[] {
  for (const [i, [a, b]] of intervals.entries()) {
    for (const [j, [c, d]] of intervals.entries()) {
      if (j <= i || c > b + 1n || a > d + 1n) continue;
      const joined: Interval = [a < c ? a : c, b > d ? b : d];
      return joinNaively(intervals.flatMap((each, at) => (at === i ? [joined] : at === j ? [] : [each])));
    }
  }
  return intervals;
}

const sizes = fc.oneof(fc.nat(20), fc.nat(), fc.maxSafeNat());
const positions = fc.oneof(
  fc.nat(30).map(String),
  fc.maxSafeNat().map(String),
  fc.bigInt(0n, 2n ** 70n).map(String),
  fc.constant(''),
);
const gaps = fc.constantFrom('', '', '', ' ', '\t', ' ,', ', ', ',,');
const specs = fc.tuple(gaps, positions, fc.constantFrom('-', '-', '-', '', '--'), positions, gaps);
const nearlyRanges = fc
  .tuple(
    fc.constantFrom('bytes=', 'bytes=', 'Bytes=', 'byte=', ''),
    fc.array(
      specs.map((parts) => parts.join('')),
      { maxLength: 3 },
    ),
  )
  .map(([unit, set]) => unit + set.join(','));
const scrambled = fc
  .array(fc.constantFrom(...'0123456789-,= \tbytes'), { maxLength: 20 })
  .map((characters) => `bytes=${characters.join('')}`);

test('agrees with a naive model in BigInt on well-formed and nearly well-formed fields', () => {
  fc.assert(
    fc.property(fc.oneof(nearlyRanges, scrambled), sizes, (header, size) => {
      assert.deepEqual(judgeRange(header, size), judgeNaively(header, size));
    }),
    { numRuns: 5000 },
  );
});

test('never throws and never leaves the region, whatever the field holds', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), nearlyRanges, scrambled), sizes, (header, size) => {
      const verdict = judgeRange(header, size);
      if (verdict.kind !== 'single' && verdict.kind !== 'multiple') return true;
      const ranges = verdict.kind === 'single' ? [verdict.range] : verdict.ranges;
      return ranges.every(
        ({ first, last }) => Number.isSafeInteger(first) && 0 <= first && first <= last && last < size,
      );
    }),
    { numRuns: 5000 },
  );
});

test('every interval inside the region is given back as it was asked for', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
      const [first, last] = [Math.min(a, b), Math.min(Math.max(a, b), largest - 1)];
      fc.pre(first <= last);
      assert.deepEqual(judgeRange(`bytes=${first}-${last}`, last + 1), single(first, last));
    }),
  );
});

const million = 1_000_000;
const longFields: readonly (readonly [what: string, header: string, RangeVerdict])[] = [
  ['digits', `bytes=${'9'.repeat(million)}-`, unsatisfiable],
  ['zeros', `bytes=${'0'.repeat(million)}1-${'0'.repeat(million)}2`, single(1, 2)],
  ['digits and no dash', `bytes=${'1'.repeat(million)}`, malformed],
  ['commas', `bytes=${','.repeat(million)}1-2`, single(1, 2)],
  ['spaces between other things', `bytes=1-2${' '.repeat(million)}x`, malformed],
  ['spaces and commas', `bytes=${' ,'.repeat(million)}1-2`, single(1, 2)],
  ['ranges', `bytes=${'0-0,'.repeat(million)}0-0`, single(0, 0)],
];

for (const [what, header, verdict] of longFields) {
  test(`a field with a million ${what} is judged before the test times out (CVE-2011-3192)`, () => {
    assert.deepEqual(judgeRange(header, 11), verdict);
  });
}
