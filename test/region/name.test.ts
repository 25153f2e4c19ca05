import assert from 'node:assert/strict';
import { resolve, sep } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeName, encodeName, isRegionName } from '../../src/region/name.ts';

/** What a path's tail names; undefined: no region. */
function nameIn(encoded: string): string | undefined {
  const name = decodeName(encoded);
  return name !== undefined && isRegionName(name) ? name : undefined;
}

const accepted: readonly (readonly [why: string, encoded: string, name: string])[] = [
  ['one segment', 'model', 'model'],
  ['every kind of character', '_A-z0.9', '_A-z0.9'],
  ['a dash in front', '-rf', '-rf'],
  ['dots inside and at the end', 'a..b.', 'a..b.'],
  ['several segments', 'zarr/c/0/1.bin', 'zarr/c/0/1.bin'],
  ['an escaped letter', '%6Dodel', 'model'],
  ['escapes in lower case', '%6dodel', 'model'],
  ['an escaped slash', 'a%2Fb', 'a/b'],
  ['a dotfile', '.env', '.env'],
  ['a dotfile below', 'temp.zarr/.zgroup', 'temp.zarr/.zgroup'],
  ['three dots', '...', '...'],
  ['the state folder below', 'a/.pagerelay', 'a/.pagerelay'],
  ['what begins as the state folder does', '.pagerelay2', '.pagerelay2'],
  ['an equals sign', 'year=2024/p.parquet', 'year=2024/p.parquet'],
  ['a plus sign', 'torch-2.1+cu118.whl', 'torch-2.1+cu118.whl'],
  ['spaces, parentheses and brackets', 'Movie%20(2019)%20%5B1080p%5D.mp4', 'Movie (2019) [1080p].mp4'],
  ['UTF-8 beyond ASCII', 'B%C3%BChne.flac', 'Bühne.flac'],
  ['UTF-8 that a client has not escaped', 'B\u00c3\u00bchne.flac', 'Bühne.flac'],
  ['an at sign', 'icon@2x.png', 'icon@2x.png'],
  ['a colon', 'sha256:ab', 'sha256:ab'],
  ['a percent sign', '100%25.txt', '100%.txt'],
  ['an escape that is decoded once only', '%252e%252e', '%2e%2e'],
  ['an escape that is decoded once only', 'a%252Fb', 'a%2Fb'],
  ['quotes and a backslash', '%22%5C%27', '"\\\''],
  ['a line end', 'a%0Ab', 'a\nb'],
  ['control characters', '%01%7F%C2%85', '\u0001\u007f\u0085'],
  ['a full-width dot', '%EF%BC%8E%EF%BC%8E', '\uff0e\uff0e'],
  ['a question mark and a number sign', '%3F%23', '?#'],
  ['1,024 bytes of UTF-8', '%C3%A9'.repeat(512), 'é'.repeat(512)],
  ['1,024 bytes', 'a'.repeat(1024), 'a'.repeat(1024)],
  ['1,024 bytes, all escaped', '%61'.repeat(1024), 'a'.repeat(1024)],
];

for (const [why, encoded, name] of accepted) {
  test(`${why} is a name: ${encoded.slice(0, 30)}`, () => {
    assert.equal(nameIn(encoded), name);
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
  ['the state folder', '.pagerelay'],
  ['what is in the state folder', '.pagerelay/lock'],
  ['the state folder, escaped', '%2Epagerelay%2Flock'],
  ['NUL', 'a%00b'],
  ['a raw NUL', 'a\0b'],
  ['an escape cut short', 'a%'],
  ['an escape cut short', 'a%2'],
  ['an escape that is none', 'a%zz'],
  ['overlong UTF-8 for a slash', 'a%c0%afb'],
  ['a UTF-8 byte alone', 'a%ff'],
  ['an escaped surrogate', 'a%ED%A0%80'],
  ['a UTF-8 byte alone that was not escaped', 'a\u00ff'],
  ['a fragment', 'a#b'],
  ['1,026 bytes of UTF-8', '%C3%A9'.repeat(513)],
  ['a letter beyond ASCII', 'caf\u00e9'],
  ['1,025 bytes', 'a'.repeat(1025)],
  ['1,025 bytes, all escaped', '%61'.repeat(1025)],
];

for (const [why, encoded] of refused) {
  test(`${why} is no name: ${JSON.stringify(encoded.slice(0, 30))}`, () => {
    assert.equal(nameIn(encoded), undefined);
  });
}

test('a decoded name is judged as it stands, without decoding', () => {
  assert.equal(isRegionName('%2e%2e'), true);
  assert.equal(isRegionName('a%2F'), true);
  assert.equal(isRegionName('..'), false);
  assert.equal(isRegionName('a/b'), true);
  assert.equal(isRegionName('half a \ud800 pair'), false);
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
      const name = nameIn(encoded);
      if (name === undefined) return;
      seen += 1;
      assert.equal(resolve('/root/of/tree', name), `/root/of/tree${sep}${name}`);
    }),
    { numRuns: 5000 },
  );
  assert.ok(seen > 100);
});

test('where dotfiles are denied, no segment begins with a dot', () => {
  for (const name of ['.env', '...', 'a/.b', '.git/config', 'a/.b/c']) assert.equal(isRegionName(name, 'deny'), false);
  for (const name of ['a.b', 'a/b.c', 'a./b']) assert.equal(isRegionName(name, 'deny'), true);
});

/** Any name by the rules. */
const names = fc
  .array(fc.string({ unit: 'binary', minLength: 1, maxLength: 10 }), { minLength: 1, maxLength: 10 })
  .map((segments) => segments.map((segment) => segment.replaceAll(/[/\0]/g, '-')).join('/'))
  .filter(isRegionName);

test('every name by the rules is what its address names, however it is escaped', () => {
  fc.assert(
    fc.property(names, fc.infiniteStream(fc.boolean()), (name, flips) => {
      assert.equal(nameIn(encodeName(name)), name);
      const bytes = [...Buffer.from(name)].map((byte) => {
        const isPlain = byte > 0x20 && !'%#?'.includes(String.fromCharCode(byte)) && flips.next().value;
        return isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0')}`;
      });
      assert.equal(nameIn(bytes.join('')), name);
    }),
    { numRuns: 2000 },
  );
});

test('a name in an address is a path of RFC 3986 that means the same to a shell', () => {
  fc.assert(fc.property(names, (name) => assert.match(encodeName(name), /^[\w.~/=:@+,%-]+$/)));
  assert.equal(encodeName("a b/sha256:ab/it's (1)"), 'a%20b/sha256:ab/it%27s%20%281%29');
});

test('a very long path is refused in linear time', () => {
  // In quadratic time it would take hours.
  assert.equal(nameIn('a'.repeat(5_000_000)), undefined);
  assert.equal(isRegionName(`${'a/'.repeat(2_500_000)}`), false);
});
