/** The native core is built in layers, in the order of the table in docs/architecture.md. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const core = join(root, 'native-shim', 'core');
const architecture = readFileSync(join(root, 'docs', 'architecture.md'), 'utf8');

/** The rows of the table of layers, the lowest first. */
const layers = [...architecture.matchAll(/^\| `core\/(\w+)\/` \|/gm)].map(([, layer = '']) => layer);

const files = globSync('**/*.[ch]', { cwd: core }).map((path) => {
  const [folder = ''] = path.split('/');
  return { path, height: layers.indexOf(folder), text: readFileSync(join(core, path), 'utf8') };
});

/** What a file's pattern finds, with the file that it is in. */
const found = (pattern: RegExp, suffix: string) =>
  files
    .filter(({ path }) => path.endsWith(suffix))
    .flatMap(({ path, height, text }) => [...text.matchAll(pattern)].map(([, name = '']) => ({ name, path, height })));

test('every file of the core is in a layer, but for the one that makes a relay of them', () => {
  assert.deepEqual(layers.toSorted(), ['base', 'http', 'lanes', 'pages', 'wire']);
  const outside = files.filter(({ height }) => height < 0).map(({ path }) => path);
  assert.deepEqual(outside.toSorted(), ['relay.c', 'relay.h']);
});

test('a layer includes only its own headers and those of layers below it', () => {
  const includes = found(/^#include "([^"]+)"/gm, '').filter(({ height }) => height >= 0);
  assert.ok(includes.length > 100, 'includes were found');
  const upwards = includes.filter(({ name, height }) => {
    const included = layers.indexOf(name.split('/')[0] ?? '');
    return included < 0 || included > height;
  });
  assert.deepEqual(upwards, []);
});

test('a function is declared by the layer that defines it, so that nobody below can call it', () => {
  const defined = found(/^(?!static)[a-z][\w *]*?\b(pr_\w+)\([^;{}]*\) \{/gm, '.c');
  const declared = found(/^(?!static|typedef)[a-z][\w *]*?\b(pr_\w+)\([^;{}]*\);/gm, '');
  assert.ok(defined.length > 100, 'functions were found');
  const home = new Map(defined.map(({ name, height }) => [name, height]));
  assert.deepEqual(
    declared.filter(({ name, height, path }) => home.get(name) !== height || !path.endsWith('.h')),
    [],
  );
});

test('no two static functions of one name do different things', () => {
  const homes = new Map<string, Set<string>>();
  for (const { name, path } of found(/^static (?:[\w]+[\s*]+)+(\w+)\([^;{}]*\) \{/gm, '.c')) {
    homes.set(name, (homes.get(name) ?? new Set()).add(path));
  }
  assert.ok(homes.size > 200, 'functions were found');
  assert.deepEqual(
    [...homes].filter(([, paths]) => paths.size > 1).map(([name, paths]) => [name, ...paths]),
    [],
  );
});
