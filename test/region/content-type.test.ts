import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentTypeOf } from '../../src/region/content-type.ts';

const types: readonly (readonly [why: string, name: string, type: string])[] = [
  ['a known extension', 'clips/a.mp4', 'video/mp4'],
  ['an extension in capitals', 'A.PNG', 'image/png'],
  ['text is UTF-8', 'notes.txt', 'text/plain; charset=utf-8'],
  ['text is UTF-8', 'a.b/page.html', 'text/html; charset=utf-8'],
  ['JSON needs no charset (RFC 8259 8.1)', 'zarr/meta.json', 'application/json'],
  ['an unknown extension', 'model.safetensors', 'application/octet-stream'],
  ['no extension', 'demo', 'application/octet-stream'],
  ['no extension below a folder with one', 'a.txt/b', 'application/octet-stream'],
  ['a name that is itself an extension', 'html', 'application/octet-stream'],
  ['a name that is itself an extension, below a folder', 'c/json', 'application/octet-stream'],
  ['a dot at the end', 'a.', 'application/octet-stream'],
];

for (const [why, name, type] of types) {
  test(`${name} is ${type} (${why})`, () => {
    assert.equal(contentTypeOf(name), type);
  });
}
