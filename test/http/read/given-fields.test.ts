import assert from 'node:assert/strict';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { test } from 'node:test';
import fc from 'fast-check';
import { fieldsOf, ownFields, readField } from '../../../src/http/read/given-fields.ts';

const fields: readonly (readonly [text: string, name: string, value: string])[] = [
  ['X-Served-By: a', 'x-served-by', 'a'],
  ['x:y', 'x', 'y'],
  ['X: \t y z \t', 'x', 'y z'],
  ['Link: <https://a/b:c>; rel="x"', 'link', '<https://a/b:c>; rel="x"'],
  ['Access-Control-Allow-Origin: *', 'access-control-allow-origin', '*'],
  ['__proto__: x', '__proto__', 'x'],
];

for (const [text, name, value] of fields) {
  test(`${JSON.stringify(text)} is a field`, () => {
    assert.deepEqual(readField(text), { name, value });
  });
}

test('what is read is one line of a head, and never one by which the service frames it', () => {
  const pieces = fc.constantFrom(...ownFields, 'X', ':', ' ', '\r', '\n', '\0', '\t', 'é', '\u0100', 'a', '\x7f', '"');
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.array(pieces).map((all) => all.join('')),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const field = readField(text);
      if (field === undefined) return;
      validateHeaderName(field.name);
      validateHeaderValue(field.name, field.value);
      assert.doesNotMatch(`${field.name}${field.value}`, /[^\t\x20-\x7e]/);
      assert.ok(!ownFields.has(field.name));
    }),
    { numRuns: 5000 },
  );
});

test('a field that is given twice is two lines', () => {
  const given = ['A: 1', 'B: 2', 'a: 3', 'A: 4', '__proto__: 5'].map((text) => readField(text) ?? assert.fail(text));
  const named = fieldsOf(given);
  assert.deepEqual(Object.entries(named), [
    ['a', ['1', '3', '4']],
    ['b', '2'],
    ['__proto__', '5'],
  ]);
});
