/** docs/security.md names the test of each attack. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');

test('each attack that the docs name has the test that they name', () => {
  const text = readFileSync(join(root, 'docs/security.md'), 'utf8');
  const attacks = text.slice(text.indexOf('## Attacks'));
  const rows = attacks.split('\n').filter((line) => /^\| (?!what somebody|---)/.test(line));
  assert.ok(rows.length > 10, 'the table was found');
  for (const row of rows) {
    const [, file = '', name = ''] = /`(test\/[^`]+)`: (.+) \|$/.exec(row) ?? [];
    assert.ok(file !== '', `it names a test: ${row}`);
    assert.ok(readFileSync(join(root, file), 'utf8').includes(`'${name}'`), `${file} has the test "${name}"`);
  }
});
