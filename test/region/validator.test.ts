import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { etagOf, type FileTraits, generationOfFile } from '../../src/region/validator.ts';

const traits: FileTraits = {
  inode: 12,
  size: 4096,
  modified: 1_700_000_000_123_456_789n,
  changed: 1_700_000_001_000_000_000n,
};

const others: readonly (readonly [what: string, other: Partial<FileTraits>])[] = [
  ['another inode', { inode: 13 }],
  ['an inode that does not last', { inode: undefined }],
  ['another size', { size: 4097 }],
  ['an mtime one nanosecond later', { modified: traits.modified + 1n }],
  ['a ctime one nanosecond later', { changed: 1_700_000_001_000_000_001n }],
  ['a ctime that does not count', { changed: undefined }],
];

for (const [what, other] of others) {
  test(`${what} is another generation`, () => {
    assert.notEqual(generationOfFile({ ...traits, ...other }), generationOfFile(traits));
  });
}

test('a generation is named the same on every machine and by every run', () => {
  assert.equal(generationOfFile(traits), '-FP13U-Dn_-TO078rIbl3h');
});

const times = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-20n, 20n));
const files: fc.Arbitrary<FileTraits> = fc.record({
  inode: fc.option(fc.oneof(fc.maxSafeNat(), fc.nat(20), fc.constant(2 ** 63)), { nil: undefined }),
  size: fc.oneof(fc.maxSafeNat(), fc.nat(20)),
  modified: times,
  changed: fc.option(times, { nil: undefined }),
});

test('generations are equal exactly when inode, size, mtime and ctime are', () => {
  const keys = ['inode', 'size', 'modified', 'changed'] as const;
  const pairs = fc.tuple(files, fc.subarray([...keys]), files).map(([one, shared, other]) => {
    return [one, { ...other, ...Object.fromEntries(shared.map((key) => [key, one[key]])) }] as const;
  });
  fc.assert(
    fc.property(pairs, ([one, other]) => {
      const equal = keys.every((key) => one[key] === other[key]);
      assert.equal(generationOfFile(one) === generationOfFile(other), equal);
    }),
    { numRuns: 2000 },
  );
});

test('every entity-tag of a file is a strong one by its grammar (RFC 9110 8.8.3), and none that S3 clients take for an MD5', () => {
  fc.assert(
    fc.property(files, fc.nat(), fc.nat(), (file, epoch, version) => {
      const etag = etagOf({ generation: generationOfFile(file), epoch, version });
      assert.match(etag, /^"[\x21\x23-\x7e]+"$/);
      assert.doesNotMatch(etag, /^"[0-9a-fA-F]{32}(?:-[0-9]+)?"$/);
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
