/** `npm test` runs every test file, and none twice; `npm run test:long` those that are called so. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { batched, type ShimOfTests } from './support/batch.ts';

const root = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const quoted = (text: string, quote: string) => text.split(quote).filter((_, at) => at % 2 === 1);

test('npm test runs each test file alone or in one batch', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: { test: string } };
  const started = quoted(scripts.test, '"').flatMap((pattern) => globSync(pattern, { cwd: root }));
  const run = started.flatMap((file) => {
    if (!file.startsWith('test/batches/')) return [file];
    const [shim, ...patterns] = quoted(read(file).slice(read(file).indexOf('batch(')), "'");
    return batched(shim as ShimOfTests, patterns).map((each) => `test/${each}`);
  });
  const batches = globSync('test/batches/*', { cwd: root });
  const all = globSync('test/**/*.test.ts', { cwd: root }).filter((file) => !batches.includes(file));
  assert.deepEqual(run.sort(), all.sort());
  assert.ok(batches.every((file) => started.includes(file)));
});

test('npm run test:long runs each file that is called so', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: { 'test:long': string } };
  const started = quoted(scripts['test:long'], '"').flatMap((pattern) => globSync(pattern, { cwd: root }));
  const all = globSync('test/**/*.long.ts', { cwd: root });
  assert.ok(all.length > 0);
  assert.deepEqual(started.sort(), all.sort());
});
