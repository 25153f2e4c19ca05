import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judgeRange } from '../../src/range/parse.ts';
import { type Plan, planRange, planRanges, planWhole, unsatisfiedContentRange } from '../../src/range/plan.ts';

const contentType = 'text/plain';
const planned = (size: number) => ({ size, contentType });

test('the whole of a region is one extent, 200 and no Content-Range', () => {
  assert.deepEqual(planWhole(planned(11)), {
    status: 200,
    segments: [{ offset: 0, length: 11 }],
    length: 11,
    contentRange: undefined,
    contentType,
  });
});

test('the whole of an empty region has no extent', () => {
  const plan = { status: 200, segments: [], length: 0, contentRange: undefined, contentType };
  assert.deepEqual(planWhole(planned(0)), plan);
});

const ranges: readonly (readonly [source: string, first: number, last: number, size: number, string])[] = [
  ['RFC 9110 14.4', 42, 1233, 1234, 'bytes 42-1233/1234'],
  ['RFC 9110 15.3.7.1', 21010, 47021, 47022, 'bytes 21010-47021/47022'],
  ['one byte', 0, 0, 1, 'bytes 0-0/1'],
  ['the largest region', 0, 2 ** 53 - 2, 2 ** 53 - 1, 'bytes 0-9007199254740990/9007199254740991'],
];

for (const [source, first, last, size, contentRange] of ranges) {
  test(`${first}-${last} of ${size} is one extent with its Content-Range (${source})`, () => {
    const length = last - first + 1;
    const plan = { status: 206, segments: [{ offset: first, length }], length, contentRange, contentType };
    assert.deepEqual(planRange(planned(size), { first, last }), plan);
  });
}

test('an unsatisfied range is told the size alone (RFC 9110 14.4)', () => {
  assert.equal(unsatisfiedContentRange(1234), 'bytes */1234');
  assert.equal(unsatisfiedContentRange(0), 'bytes */0');
});

function bodyOf(plan: Plan, content: Uint8Array): Buffer {
  const pieces = plan.segments.map((segment) =>
    typeof segment === 'string'
      ? Buffer.from(segment, 'latin1')
      : content.subarray(segment.offset, segment.offset + segment.length),
  );
  return Buffer.concat(pieces);
}

test('several ranges are parts with heads of their own, a line break before the first boundary too (RFC 9110 15.3.7.2)', () => {
  const content = Buffer.from('0123456789');
  const plan = planRanges(
    planned(10),
    [
      { first: 1, last: 2 },
      { first: 8, last: 9 },
    ],
    'B',
  );
  const lines = [
    ...['', '--B', 'content-type: text/plain', 'content-range: bytes 1-2/10', '', '12'],
    ...['--B', 'content-type: text/plain', 'content-range: bytes 8-9/10', '', '89'],
    ...['--B--', ''],
  ];
  assert.equal(bodyOf(plan, content).toString(), lines.join('\r\n'));
  assert.equal(plan.length, lines.join('\r\n').length);
  assert.equal(plan.contentRange, undefined);
  assert.equal(plan.contentType, 'multipart/byteranges; boundary=B');
});

test('a boundary is new each time', () => {
  const twice = [1, 2].map(() => planRanges(planned(10), [{ first: 0, last: 0 }]).contentType);
  assert.equal(new Set(twice).size, 2);
});

test('a planned range sends exactly the bytes that were asked for and exist', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(50), fc.nat(50), (content, first, last) => {
      const verdict = judgeRange(`bytes=${first}-${last}`, content.length);
      fc.pre(verdict.kind === 'single');
      const plan = planRange(planned(content.length), verdict.range);
      const sent = [...bodyOf(plan, content)];
      assert.deepEqual(sent, [...content].slice(first, last + 1));
      assert.equal(plan.length, sent.length);
    }),
  );
});
