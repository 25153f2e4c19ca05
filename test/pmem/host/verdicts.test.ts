/** What a guest has brought back can't be taken for success when it is none. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { exitCodeOf, type Verdict, verdictsOf } from './verdicts.ts';

const reportedTest = { file: 'put.test.ts', names: ['a', 'b'], passed: true, milliseconds: 5, notes: [] };

function broughtBack(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'pagerelay-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

const failures = (verdicts: readonly Verdict[]) => verdicts.filter(({ passed }) => !passed).map(({ name }) => name);

test('each test that was reported is one verdict, under the names around it', (t) => {
  const folder = broughtBack(t, { 'step.jsonl': `${JSON.stringify(reportedTest)}\n` });
  const verdicts = verdictsOf(folder, 'step', 0);
  assert.deepEqual(
    verdicts.map(({ name, passed }) => ({ name, passed })),
    [{ name: 'put: a › b', passed: true }],
  );
});

for (const [what, code] of [
  ['took too long', 124],
  ['crashed', 139],
  ['was cut off with its guest', undefined],
] as const) {
  test(`a step that ${what} has failed, whatever had passed before`, (t) => {
    const folder = broughtBack(t, { 'step.jsonl': `${JSON.stringify(reportedTest)}\n{"cut off`, 'step.log': 'why' });
    const verdicts = verdictsOf(folder, 'step', code);
    assert.deepEqual(failures(verdicts), ['step comes to its end']);
    assert.match(verdicts.at(-1)?.error ?? '', /why$/);
  });
}

test('a step that fails without a test that failed has failed', (t) => {
  const folder = broughtBack(t, { 'step.jsonl': `${JSON.stringify(reportedTest)}\n` });
  assert.deepEqual(failures(verdictsOf(folder, 'step', 1)), ['step comes to its end']);
});

test('a warning of the kernel is a failure', (t) => {
  const folder = broughtBack(t, {
    'deletion.kernel': 'EXT4-fs (pmem0): mounted filesystem\n',
    'writing.kernel': 'WARNING: CPU: 0 at fs/dax.c\nCPU: 0 PID: 1 Comm: node Not tainted\n',
  });
  assert.deepEqual(failures(verdictsOf(folder, 'deletion', 0)), []);
  assert.deepEqual(failures(verdictsOf(folder, 'writing', 0)), ['the kernel has nothing to warn of during writing']);
});

test('of a guest that goes off, no step is waited for for ever', async (t) => {
  const folder = broughtBack(t, { 'first.code': '0\n' });
  assert.equal(await exitCodeOf(folder, 'first', () => true), 0);
  assert.equal(await exitCodeOf(folder, 'second', () => true), undefined);
});
