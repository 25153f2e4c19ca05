import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareBytes, firstFrom } from '../../../src/region/listing/byte-order.ts';
import { Merge } from '../../../src/region/listing/merge.ts';

// Whole code points: a lone surrogate has no UTF-8.
const text = fc.string({ unit: 'binary', maxLength: 4 });

function inBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

test('strings are in the order of the bytes of their UTF-8', () => {
  assert.deepEqual(['\u{1f600}', '\u{fffd}', 'a/b', 'a-b', 'ab', 'a'].sort(compareBytes), [
    ...['a', 'a-b', 'a/b', 'ab'],
    ...['\u{fffd}', '\u{1f600}'],
  ]);
  fc.assert(
    fc.property(text, text, (left, right) => {
      assert.equal(Math.sign(compareBytes(left, right)), inBytes(left, right));
    }),
  );
});

test('the first that is not below a bound is found in a sorted list', () => {
  fc.assert(
    fc.property(fc.array(text), text, (texts, bound) => {
      const sorted = texts.sort(inBytes);
      const at = sorted.findIndex((each) => inBytes(each, bound) >= 0);
      assert.equal(firstFrom(sorted, bound), at < 0 ? sorted.length : at);
    }),
  );
});

test('sorted lists are merged into one from a bound on, each key once', () => {
  fc.assert(
    fc.property(fc.array(fc.array(text)), text, (lists, bound) => {
      const merge = new Merge(
        lists.map((list) => list.sort(inBytes)),
        bound,
      );
      const merged: string[] = [];
      for (let key = merge.next(); key !== undefined; key = merge.next()) merged.push(key);
      const wanted = [...new Set(lists.flat())].filter((each) => inBytes(each, bound) >= 0);
      assert.deepEqual(merged, wanted.sort(inBytes));
    }),
  );
});
