/** Counters are one table, in native-shim/core/base/counters.h; all that tells them is made of it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { nothingCounted } from '../../src/relay/nothing-counted.ts';
import { makeRelay } from '../support/shim.ts';

test('the table of counters that TypeScript has is the one of the core', () => {
  const script = join(import.meta.dirname, '..', '..', 'native-shim', 'counters.js');
  const { status, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});

/** The names of what is counted, in their order. */
function shapeOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.entries(value).map(([name, inner]) => [name, shapeOf(inner)]);
}

test('the shim tells what the table has, by the same names', (t) => {
  const { shim, relay } = makeRelay(t);
  const { lanes, ...counted } = shim.counters(relay);
  assert.deepEqual(shapeOf(counted), shapeOf(nothingCounted));
  assert.deepEqual(Object.keys(lanes[0] ?? {}), ['connections', 'cpuSeconds', 'node']);
});
