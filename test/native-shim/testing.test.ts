/** What tests alone may do is in a binary of its own (native-shim/testing/), which the package does not ship. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { loadShim } from '../../src/relay/shim.ts';

const require = createRequire(import.meta.url);
const folder = join(import.meta.dirname, '..', '..', 'native-shim', 'build', 'Release');
const shipped = join(folder, 'pagerelay.node');
const testing = join(folder, 'pagerelay_testing.node');
const words = ['setFault', 'releaseWhenAccepted'];

type Untyped = Readonly<Record<string, (...args: unknown[]) => unknown>>;

test('the binary that is shipped has no entry point of tests, and nothing of what they say', () => {
  const has = (path: string) => words.filter((word) => readFileSync(path, 'latin1').includes(word));
  assert.deepEqual([has(shipped), has(testing)], [[], words]);
  const ours = Object.keys(require(shipped) as object);
  assert.deepEqual(
    Object.keys(require(testing) as object).filter((name) => !ours.includes(name)),
    ['setFault'],
  );
});

test('no variable of the environment but PAGERELAY_PORTABLE changes which shim is loaded, or what it says', (t) => {
  const before = process.env;
  t.after(() => {
    process.env = before;
  });
  const read: string[] = [];
  process.env = new Proxy(before, {
    get: (variables, name: string) => {
      read.push(name);
      return variables[name];
    },
  });
  assert.ok('shim' in loadShim());
  assert.deepEqual(read, ['PAGERELAY_PORTABLE']);
});

test('wrong faults and wrong pretences are refused', () => {
  const binary = require(testing) as Untyped;
  const right = { lanes: 1, maxHoldSeconds: 1, maxBrokenOff: 1 };
  const wrong = [
    ...['', 'near', 1, null].map((peerKind) => ({ ...right, peerKind })),
    ...[0, 'yes', null].map((releaseWhenAccepted) => ({ ...right, releaseWhenAccepted })),
  ];
  for (const options of wrong)
    assert.throws(() => binary.createRelay?.(options, () => {}), TypeError, inspect(options));
  for (const call of [[], ['fork', 1, 0, 1], ['send', -1, 0, 1], ['send', 1, 0.5, 1], ['send', 1, 0]])
    assert.throws(() => binary.setFault?.(...call), TypeError, inspect(call));
});
