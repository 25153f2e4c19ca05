import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { etagOf, generationOfFile } from '../../src/region/validator.ts';

const files: readonly (readonly [what: string, size: bigint, mtimeNs: bigint, generation: string])[] = [
  ['a file', 4096n, 1_700_000_000_123_456_789n, '17979cfe3d85cd15-1000'],
  ['an empty file from 1970', 0n, 0n, '0-0'],
  ['a file from before 1970', 16n, -255n, '-ff-10'],
  ['a file larger than 2^53', 2n ** 60n, 10n, 'a-1000000000000000'],
];

for (const [what, size, mtimeNs, generation] of files) {
  test(`the generation of ${what} is ${generation}`, () => {
    assert.equal(generationOfFile(size, mtimeNs), generation);
  });
}

const sizes = fc.bigInt(0n, 2n ** 63n - 1n);
const times = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);

test('generations are equal exactly when size and modification time are', () => {
  const near = fc.bigInt(-20n, 20n);
  const pairs = fc.tuple(fc.oneof(sizes, fc.bigInt(0n, 20n)), fc.oneof(times, near));
  fc.assert(
    fc.property(pairs, pairs, ([size, mtime], [otherSize, otherMtime]) => {
      const equal = generationOfFile(size, mtime) === generationOfFile(otherSize, otherMtime);
      assert.equal(equal, size === otherSize && mtime === otherMtime);
    }),
    { numRuns: 2000 },
  );
});

test('every entity-tag of a file is a strong one by its grammar (RFC 9110 8.8.3)', () => {
  fc.assert(
    fc.property(sizes, times, fc.nat(), fc.nat(), (size, mtime, epoch, version) => {
      assert.match(etagOf({ generation: generationOfFile(size, mtime), epoch, version }), /^"[\x21\x23-\x7e]+"$/);
    }),
  );
});

const tags: readonly (readonly [what: string, epoch: number, version: number, etag: string])[] = [
  ['never changed in place', 0, 0, '"a-10"'],
  ['changed in the first run', 1, 1, '"a-10.1.1"'],
  ['changed in an earlier run only', 2, 0, '"a-10.2.0"'],
  ['changed with no epoch', 0, 3, '"a-10.0.3"'],
];

for (const [what, epoch, version, etag] of tags) {
  test(`the entity-tag of content ${what} is ${etag}`, () => {
    assert.equal(etagOf({ generation: 'a-10', epoch, version }), etag);
  });
}

test('two states of a generation never share an entity-tag', () => {
  const states = fc.record({ generation: fc.constant('a-10'), epoch: fc.nat(120), version: fc.nat(120) });
  fc.assert(
    fc.property(states, states, (one, other) => {
      const same = one.epoch === other.epoch && one.version === other.version;
      assert.equal(etagOf(one) === etagOf(other), same);
    }),
    { numRuns: 2000 },
  );
});
