import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DamagedSidecar, type Description, parseSidecar, serializeSidecar } from '../../src/region/sidecar-format.ts';

const description: Description = {
  inode: 12,
  generation: 'XcRySVR3VYqZ3ajTQ-xTXg',
  contentType: 'text/plain; charset=utf-8',
  epoch: 3,
  version: 4,
  run: undefined,
  size: 4096,
  cut: false,
  fileSize: 4096,
  modified: '1700000000123456789',
  changed: '1700000000123456790',
};

const text = `{
  "format": 2,
  "name": "a/b",
  "descriptions": [
    {
      "inode": 12,
      "generation": "XcRySVR3VYqZ3ajTQ-xTXg",
      "contentType": "text/plain; charset=utf-8",
      "epoch": 3,
      "version": 4,
      "run": null,
      "size": 4096,
      "cut": false,
      "fileSize": 4096,
      "modified": "1700000000123456789",
      "changed": "1700000000123456790"
    }
  ]
}
`;

test('a sidecar is JSON that people can read, with null for what is undefined', () => {
  assert.equal(serializeSidecar({ name: 'a/b', descriptions: [description] }), text);
  assert.deepEqual(parseSidecar('x', text), { name: 'a/b', descriptions: [description] });
});

test('of what was written before ctime was, ctime is unknown', () => {
  const { changed: _, ...before } = JSON.parse(text).descriptions[0];
  const stored = JSON.stringify({ format: 1, name: 'a/b', descriptions: [before] });
  assert.deepEqual(parseSidecar('x', stored).descriptions, [{ ...description, changed: undefined }]);
});

test('properties that are no part of a description are not written', () => {
  const more = { ...description, more: 1 };
  assert.equal(serializeSidecar({ name: 'a/b', descriptions: [more] }), text);
});

const wrongValues: Readonly<Record<keyof Description, readonly unknown[]>> = {
  inode: [null, -1, 1.5, '12'],
  generation: [null, '', 'a b', 'a"b', 'é', 1],
  contentType: ['', ' a/b', 'a/b ', 'a/b\n', 'a/b\u0000', 'a/\u0100', 1],
  epoch: [null, -1, 0.5, 2 ** 53, '3'],
  version: [-1, 0.5, 2 ** 53, '4'],
  run: ['', 'a b', 1],
  size: [null, -1, 0.5, 2 ** 53, '4096'],
  cut: [null, 0, 'false'],
  fileSize: [null, -1, 0.5, 2 ** 53, '4096'],
  modified: [null, '', '01', '-0', '1.5', '1e9', ' 1', 1700000000],
  changed: ['', '01', '-0', '1.5', '1e9', ' 1', 1700000000],
};

for (const [key, values] of Object.entries(wrongValues)) {
  test(`a wrong ${key} is damage when it is read, and refused when it is written`, () => {
    for (const value of values) {
      const wrong = { ...description, [key]: value } as Description;
      const stored = JSON.stringify({ format: 2, name: 'a', descriptions: [{ ...wrong, run: wrong.run ?? null }] });
      const rule = new RegExp(`${key} is missing or wrong`);
      assert.throws(() => parseSidecar('x', stored), rule);
      assert.throws(() => serializeSidecar({ name: 'a', descriptions: [wrong] }), RangeError);
    }
  });

  test(`a missing ${key} is damage`, () => {
    const { [key]: _, ...rest } = JSON.parse(text).descriptions[0];
    const stored = JSON.stringify({ format: 2, name: 'a', descriptions: [rest] });
    assert.throws(() => parseSidecar('x', stored), new RegExp(`${key} is missing or wrong`));
  });
}

const one = JSON.parse(text).descriptions[0];
const damaged: readonly (readonly [what: string, stored: string])[] = [
  ['nothing', ''],
  ['half of it', text.slice(0, 100)],
  ['something behind it', `${text}x`],
  ['null', 'null'],
  ['a list', '[]'],
  ['another format', JSON.stringify({ format: 3, name: 'a', descriptions: [one] })],
  ['no format', JSON.stringify({ name: 'a', descriptions: [one] })],
  ['a name that is no region name', JSON.stringify({ format: 2, name: '../a', descriptions: [one] })],
  ['no descriptions', JSON.stringify({ format: 2, name: 'a', descriptions: [] })],
  ['three descriptions', JSON.stringify({ format: 2, name: 'a', descriptions: [one, one, one] })],
  ['a description that is none', JSON.stringify({ format: 2, name: 'a', descriptions: [one, null] })],
  ['an unknown key', JSON.stringify({ format: 2, name: 'a', descriptions: [one], more: 1 })],
  ['an unknown key of a description', JSON.stringify({ format: 2, name: 'a', descriptions: [{ ...one, more: 1 }] })],
  ['a prototype', text.replace('"format": 2', '"format": 2, "__proto__": {}')],
];

for (const [what, stored] of damaged) {
  test(`${what} is damage, told with its path and cause`, () => {
    assert.throws(
      () => parseSidecar('/x/y.json', stored),
      (error) => {
        assert.ok(error instanceof DamagedSidecar && error.cause instanceof Error);
        assert.equal(error.path, '/x/y.json');
        assert.match(error.message, /^\/x\/y\.json is damaged: ./);
        return true;
      },
    );
  });
}
