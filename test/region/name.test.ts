import assert from 'node:assert/strict';
import { resolve, sep } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { isRegionName, parseRegionName } from '../../src/region/name.ts';

const accepted: readonly (readonly [why: string, encoded: string, name: string])[] = [
  ['one segment', 'model', 'model'],
  ['every kind of character', '_A-z0.9', '_A-z0.9'],
  ['a dash in front', '-rf', '-rf'],
  ['dots inside and at the end', 'a..b.', 'a..b.'],
  ['several segments', 'zarr/c/0/1.bin', 'zarr/c/0/1.bin'],
  ['an escaped letter', '%6Dodel', 'model'],
  ['escapes in lower case', '%6dodel', 'model'],
  ['an escaped slash', 'a%2Fb', 'a/b'],
  ['1,024 bytes', 'a'.repeat(1024), 'a'.repeat(1024)],
  ['1,024 bytes, all escaped', '%61'.repeat(1024), 'a'.repeat(1024)],
];

for (const [why, encoded, name] of accepted) {
  test(`${why} is a name: ${encoded.slice(0, 30)}`, () => {
    assert.equal(parseRegionName(encoded), name);
    assert.equal(isRegionName(name), true);
  });
}

const refused: readonly (readonly [why: string, encoded: string])[] = [
  ['nothing', ''],
  ['a slash alone', '/'],
  ['a slash in front', '/a'],
  ['an escaped slash in front', '%2Fa'],
  ['a slash at the end', 'a/'],
  ['an empty segment', 'a//b'],
  ['.', '.'],
  ['..', '..'],
  ['a way out', '../a'],
  ['a way out', 'a/../../b'],
  ['an escaped way out', '%2e%2e/a'],
  ['an escaped way out', '..%2fa'],
  ['a way in place', 'a/./b'],
  ['a dotfile', '.pagerelay'],
  ['a dotfile below', 'a/.old'],
  ['an escaped dotfile', '%2Epagerelay'],
  ['NUL', 'a%00b'],
  ['a raw NUL', 'a\0b'],
  ['a backslash', 'a\\b'],
  ['an escaped backslash', 'a%5Cb'],
  ['an escape that is decoded once only', '%252e%252e'],
  ['an escape that is decoded once only', 'a%252Fb'],
  ['an escape cut short', 'a%'],
  ['an escape cut short', 'a%2'],
  ['an escape that is none', 'a%zz'],
  ['overlong UTF-8 for a slash', 'a%c0%afb'],
  ['a UTF-8 byte alone', 'a%ff'],
  ['UTF-8 beyond ASCII', 'caf%C3%A9'],
  ['a letter beyond ASCII', 'caf\u00e9'],
  ['a full-width dot', '\uff0e\uff0e'],
  ['a plus sign for a space', 'a+b'],
  ['a space', 'a%20b'],
  ['a line end', 'a%0A'],
  ['a line end', 'a\n'],
  ['a query', 'a?b'],
  ['a colon', 'c:a'],
  ['1,025 bytes', 'a'.repeat(1025)],
  ['1,025 bytes, all escaped', '%61'.repeat(1025)],
];

for (const [why, encoded] of refused) {
  test(`${why} is no name: ${JSON.stringify(encoded.slice(0, 30))}`, () => {
    assert.equal(parseRegionName(encoded), undefined);
  });
}

test('a decoded name is judged as it stands, without decoding', () => {
  assert.equal(isRegionName('a%2Fb'), false);
  assert.equal(isRegionName('..'), false);
  assert.equal(isRegionName('a/b'), true);
});

const pieces = fc.constantFrom(
  'a',
  'Z',
  '0',
  '_',
  '-',
  '.',
  '..',
  '/',
  '%2e',
  '%2F',
  '%5c',
  '%00',
  '\\',
  '%',
  '~',
  'é',
);
const encodedNames = fc.oneof(
  fc.array(pieces, { maxLength: 8 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary' }),
);

test('no accepted name resolves to anything but a path below the root', () => {
  let seen = 0;
  fc.assert(
    fc.property(encodedNames, (encoded) => {
      const name = parseRegionName(encoded);
      if (name === undefined) return;
      seen += 1;
      assert.equal(resolve('/root/of/tree', name), `/root/of/tree${sep}${name}`);
    }),
    { numRuns: 5000 },
  );
  assert.ok(seen > 100);
});

const segments = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}$/);

test('every name by the rules is accepted, however it is escaped', () => {
  fc.assert(
    fc.property(
      fc.array(segments, { minLength: 1, maxLength: 10 }),
      fc.infiniteStream(fc.boolean()),
      (parts, flips) => {
        const name = parts.join('/');
        const escapes = [...name].map((character) => {
          const code = `%${character.charCodeAt(0).toString(16)}`;
          return flips.next().value ? code : character;
        });
        assert.equal(parseRegionName(escapes.join('')), name);
      },
    ),
  );
});

test('a very long path is refused in linear time', () => {
  const start = performance.now();
  assert.equal(parseRegionName('a'.repeat(5_000_000)), undefined);
  assert.equal(isRegionName(`${'a/'.repeat(2_500_000)}`), false);
  assert.ok(performance.now() - start < 5_000);
});
