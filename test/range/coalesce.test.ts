import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { coalesce } from '../../src/range/coalesce.ts';

const range = fc.tuple(fc.nat(60), fc.nat(12)).map(([first, more]) => ({ first, last: first + more }));

test('coalesced ranges cover the same bytes, each once, with a gap between any two', () => {
  fc.assert(
    fc.property(fc.array(range), (ranges) => {
      const bytes = (list: typeof ranges) => list.flatMap(({ first, last }) => numbers(first, last));
      const joined = coalesce(ranges);
      assert.deepEqual(bytes(joined).sort(ascending), [...new Set(bytes(ranges))].sort(ascending));
      const inOrder = [...joined].sort((a, b) => a.first - b.first);
      for (const [at, each] of inOrder.entries()) assert.ok(at === 0 || each.first > (inOrder[at - 1]?.last ?? 0) + 1);
    }),
  );
});

test('coalesced ranges stand in the order in which the first of each was asked for', () => {
  fc.assert(
    fc.property(fc.array(range), (ranges) => {
      const places = coalesce(ranges).map((run) =>
        ranges.findIndex(({ first }) => run.first <= first && first <= run.last),
      );
      assert.deepEqual(places, [...places].sort(ascending));
    }),
  );
});

function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

function ascending(a: number, b: number): number {
  return a - b;
}
