import assert from 'node:assert/strict';
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { SidecarNames } from '../../src/region/sidecar-names.ts';
import { until } from '../support/poll.ts';
import { makeFolder } from '../support/regions.ts';

/** More sidecars than are read each time. */
const many = Array.from({ length: 101 }, (_, at) => `${at}.json`);

/** A folder of sidecars, and a clock that is so many milliseconds ahead of the folder's times. */
function fixture(t: TestContext, ahead: number, sidecars = [...many, 'a.json']) {
  const folder = join(makeFolder(t, 'tmpfs'), 'regions');
  mkdirSync(folder);
  for (const name of sidecars) writeFileSync(join(folder, name), '{}');
  const now = Date.now;
  t.mock.method(Date, 'now', () => now() + ahead);
  return { folder, names: new SidecarNames(folder) };
}

async function known(names: SidecarNames): Promise<ReadonlySet<string>> {
  await until(() => names.get() !== undefined, 'the folder is remembered');
  return names.get() ?? assert.fail();
}

const others = (names: ReadonlySet<string>) => [...names].filter((name) => !many.includes(name)).sort();

test('the names in a folder that has not changed for a while are remembered, until it changes', async (t) => {
  const { folder, names } = fixture(t, 60_000);
  assert.equal(names.get(), undefined);
  assert.deepEqual(others(await known(names)), ['a.json']);
  writeFileSync(join(folder, 'b.json'), '{}');
  assert.equal(names.get(), undefined);
  assert.deepEqual(others(await known(names)), ['a.json', 'b.json']);
  rmSync(join(folder, 'a.json'));
  assert.equal(names.get(), undefined);
  utimesSync(folder, 1, 1);
  assert.equal(names.get(), undefined, 'nor is one whose mtime was put back');
  assert.deepEqual(others(await known(names)), ['b.json']);
});

test('a folder that has just changed is not remembered: another change could have the same time', async (t) => {
  const { names } = fixture(t, 0);
  assert.equal(names.get(), undefined);
  for (let turns = 0; turns < 100; turns++) await new Promise(setImmediate);
  assert.equal(names.get(), undefined);
});

test('few names are known from one moment to the next, however lately their folder has changed', (t) => {
  const { folder, names } = fixture(t, 0, ['a.json']);
  assert.deepEqual([...(names.get() ?? assert.fail())], ['a.json']);
  rmSync(join(folder, 'a.json'));
  writeFileSync(join(folder, 'b.json'), '{}');
  assert.deepEqual([...(names.get() ?? assert.fail())], ['b.json']);
  for (const name of many) writeFileSync(join(folder, name), '{}');
  assert.equal(names.get(), undefined);
});

test('where there is no folder there are no sidecars, from one moment to the next', async (t) => {
  const { folder, names } = fixture(t, 60_000);
  await known(names);
  rmSync(folder, { recursive: true });
  assert.deepEqual([...(names.get() ?? assert.fail())], []);
  mkdirSync(folder);
  writeFileSync(join(folder, 'c.json'), '{}');
  assert.deepEqual([...(await known(names))], ['c.json']);
});

test('a folder of more than 10,000 sidecars is not remembered', async (t) => {
  const { folder, names } = fixture(t, 60_000);
  for (let at = 0; at < 10_000; at++) writeFileSync(join(folder, `${at}.json`), '');
  for (let turns = 0; turns < 1000; turns++) {
    assert.equal(names.get(), undefined);
    await new Promise(setImmediate);
  }
});
