import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judgeRange } from '../../src/range/parse.ts';
import { planRange, planWhole, unsatisfiedContentRange } from '../../src/range/plan.ts';

test('the whole of a region is one extent, 200 and no Content-Range', () => {
  assert.deepEqual(planWhole(11), {
    status: 200,
    extents: [{ offset: 0, length: 11 }],
    length: 11,
    contentRange: undefined,
  });
});

test('the whole of an empty region has no extent', () => {
  assert.deepEqual(planWhole(0), { status: 200, extents: [], length: 0, contentRange: undefined });
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
    const plan = { status: 206, extents: [{ offset: first, length }], length, contentRange };
    assert.deepEqual(planRange({ first, last }, size), plan);
  });
}

test('an unsatisfied range is told the size alone (RFC 9110 14.4)', () => {
  assert.equal(unsatisfiedContentRange(1234), 'bytes */1234');
  assert.equal(unsatisfiedContentRange(0), 'bytes */0');
});

test('a planned range sends exactly the bytes that were asked for and exist', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(50), fc.nat(50), (content, first, last) => {
      const verdict = judgeRange(`bytes=${first}-${last}`, content.length);
      fc.pre(verdict.kind === 'single');
      const plan = planRange(verdict.range, content.length);
      const sent = plan.extents.flatMap(({ offset, length }) => [...content.subarray(offset, offset + length)]);
      assert.deepEqual(sent, [...content].slice(first, last + 1));
      assert.equal(plan.length, sent.length);
    }),
  );
});
