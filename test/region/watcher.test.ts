import assert from 'node:assert/strict';
import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Watcher } from '../../src/region/watcher.ts';
import { until } from '../support/poll.ts';
import { makeFolder } from '../support/regions.ts';

const changes: Record<string, (path: string) => void> = {
  'writes into it': (path) => writeFileSync(path, 'y', { flag: 'r+' }),
  'appends to it': (path) => appendFileSync(path, 'more'),
  'truncates it': (path) => truncateSync(path, 1),
  'removes it': (path) => rmSync(path),
  'replaces it': (path) => {
    writeFileSync(`${path}.new`, 'new');
    renameSync(`${path}.new`, path);
  },
};

for (const [what, change] of Object.entries(changes)) {
  test(`a file is told of when somebody ${what}`, async (t) => {
    const path = join(makeFolder(t, 'tmpfs'), 'file');
    writeFileSync(path, 'x'.repeat(100));
    const told: string[] = [];
    const watcher = new Watcher((name) => told.push(name));
    t.after(() => watcher.close());
    watcher.watch('region', path);
    change(path);
    await until(() => told.includes('region'), 'it is told');
  });
}

test('many changes at once are one thing to tell', async (t) => {
  const path = join(makeFolder(t, 'tmpfs'), 'file');
  writeFileSync(path, 'x');
  const told: string[] = [];
  const watcher = new Watcher((name) => told.push(name));
  t.after(() => watcher.close());
  watcher.watch('region', path);
  for (let each = 0; each < 100; each++) appendFileSync(path, 'x');
  await until(() => told.length > 0, 'it is told');
  assert.ok(told.length < 10, `${told.length} times`);
});

test('what is watched no longer, or can’t be, is not told of', (t) => {
  const watcher = new Watcher(() => assert.fail('it is told'));
  t.after(() => watcher.close());
  watcher.watch('missing', '/nowhere/file');
  watcher.unwatch('missing');
});
