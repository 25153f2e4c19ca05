import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { exceeds, saturate } from '../../src/range/digits.ts';

const zeros = fc.nat(3).map((count) => '0'.repeat(count));
const digits = fc.tuple(zeros, fc.oneof(fc.bigInt(0n, 30n), fc.bigInt(0n, 2n ** 70n))).map((parts) => parts.join(''));

test('digits compare as the integers that they write, however large', () => {
  fc.assert(fc.property(digits, digits, (a, b) => assert.equal(exceeds(a, b), BigInt(a) > BigInt(b))));
});

test('digits are read exactly up to 2^53 - 1, and as that beyond', () => {
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  fc.assert(
    fc.property(digits, (text) => {
      const exact = BigInt(text);
      assert.equal(saturate(text), Number(exact < most ? exact : most));
    }),
  );
  assert.equal(saturate('9'.repeat(400)), Number.MAX_SAFE_INTEGER);
});
