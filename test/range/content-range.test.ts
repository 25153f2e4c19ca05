import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ContentRange, parseContentRange } from '../../src/range/content-range.ts';

const most = Number.MAX_SAFE_INTEGER;
const nines = '9'.repeat(400);

const cases: readonly (readonly [source: string, field: string, ContentRange | undefined])[] = [
  ['RFC 9110 14.4', 'bytes 42-1233/1234', { first: 42, last: 1233, size: 1234 }],
  ['RFC 9110 14.4', 'bytes 42-1233/*', { first: 42, last: 1233, size: undefined }],
  ['RFC 9110 14.4, one byte', 'bytes 0-0/1', { first: 0, last: 0, size: 1 }],
  ['RFC 9110 14.4, leading zeros', 'bytes 007-0010/00011', { first: 7, last: 10, size: 11 }],
  ['RFC 9110 14.1, unit in any case', 'ByTeS 1-2/3', { first: 1, last: 2, size: 3 }],
  ['RFC 9110 14.4, no positions', 'bytes */1234', undefined],
  ['RFC 9110 14.4, last below first', 'bytes 2-1/*', undefined],
  ['RFC 9110 14.4, last equals the size', 'bytes 0-3/3', undefined],
  ['RFC 9110 14.4, last above the size', 'bytes 0-4/3', undefined],
  ['RFC 9110 14.4, empty size', 'bytes 0-0/0', undefined],
  ['RFC 9110 14.4, other unit', 'pages 1-2/3', undefined],
  ['RFC 9110 14.4, no unit', '1-2/3', undefined],
  ['RFC 9110 14.4, = for the space', 'bytes=1-2/3', undefined],
  ['RFC 9110 14.4, two spaces', 'bytes  1-2/3', undefined],
  ['RFC 9110 14.4, tab', 'bytes\t1-2/3', undefined],
  ['RFC 9110 14.4, space inside', 'bytes 1 -2/3', undefined],
  ['RFC 9110 14.4, space inside', 'bytes 1-2 /3', undefined],
  ['RFC 9110 14.4, no size', 'bytes 1-2', undefined],
  ['RFC 9110 14.4, no size', 'bytes 1-2/', undefined],
  ['RFC 9110 14.4, no last', 'bytes 1-/3', undefined],
  ['RFC 9110 14.4, no first', 'bytes -2/3', undefined],
  ['RFC 9110 14.4, sign', 'bytes +1-2/3', undefined],
  ['RFC 9110 14.4, not decimal', 'bytes 0x1-2/3', undefined],
  ['RFC 9110 14.4, digits of another script', 'bytes \u0661-\u0662/*', undefined],
  ['RFC 9110 14.4, line end', 'bytes 1-2/3\n', undefined],
  ['RFC 9110 5.3, two fields joined', 'bytes 1-2/*, bytes 3-4/*', undefined],
  ['an empty field', '', undefined],
  ['digits saturate', `bytes 0-${nines}/*`, { first: 0, last: most, size: undefined }],
  ['digits saturate', `bytes ${nines}-${nines}/*`, { first: most, last: most, size: undefined }],
  ['digits saturate', `bytes 0-${nines}/1${nines}`, { first: 0, last: most, size: most }],
  ['numbers that saturate still differ', `bytes ${nines}8-${nines}7/*`, undefined],
  ['numbers that saturate still differ', `bytes 0-${nines}/${nines}`, undefined],
  ['2^53 - 1, the largest size', `bytes 0-${most - 1}/${most}`, { first: 0, last: most - 1, size: most }],
  ['above 2^53, where doubles round', 'bytes 9007199254740993-9007199254740992/*', undefined],
];

for (const [source, field, range] of cases) {
  test(`${JSON.stringify(field.slice(0, 40))} is ${range === undefined ? 'malformed' : 'read'} (${source})`, () => {
    assert.deepEqual(parseContentRange(field), range);
  });
}

test('every range inside a size is read as it was written', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.maxSafeNat(), fc.maxSafeNat(), fc.boolean(), (a, b, c, sized) => {
      const [first = 0, last = 0, size = 0] = [a, b, c].sort((left, right) => left - right);
      fc.pre(last < size);
      const field = `bytes ${first}-${last}/${sized ? size : '*'}`;
      assert.deepEqual(parseContentRange(field), { first, last, size: sized ? size : undefined });
    }),
  );
});

test('never throws, and gives positions in order only, whatever the field holds', () => {
  const scrambled = fc.array(fc.constantFrom(...'0123456789-/* ')).map((characters) => `bytes ${characters.join('')}`);
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), scrambled), (field) => {
      const range = parseContentRange(field);
      return range === undefined || (range.first <= range.last && range.last <= (range.size ?? most));
    }),
    { numRuns: 2000 },
  );
});

test('a field with a million digits is read before the test times out', () => {
  assert.equal(parseContentRange(`bytes ${'1'.repeat(1_000_000)}`), undefined);
  assert.deepEqual(parseContentRange(`bytes ${'0'.repeat(1_000_000)}1-2/3`), { first: 1, last: 2, size: 3 });
});
