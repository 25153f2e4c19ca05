import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBenchOptions, parts, UsageError, usage } from '../../loadtest/options.ts';

const known = ['ours', 'theirs', 'another'];
const parse = (...argv: string[]) => parseBenchOptions(argv, known, ['ours', 'theirs'], 2 ** 30);

test('without flags everything is measured', () => {
  assert.deepEqual(parse(), {
    parts: ['servers', 'connections', 'rate', 'fresh', 'cores', 'node', 'idle', 'writing'],
    rounds: 5,
    seconds: 0.4,
    sizes: [4096, 65536, 2 ** 20, 2 ** 24, 2 ** 30],
    peers: ['ours', 'theirs'],
    connections: 16,
    idle: 10_000,
    out: 'docs/benchmarks.md',
  });
});

test('flags replace the defaults', () => {
  const few = ['--rounds', '2', '--seconds=0.3', '--sizes', '8K,1MiB', '--connections', '4', '--parts', 'writing'];
  const options = parse(...few, '--idle', '70', '--out', '/x');
  assert.deepEqual(options, {
    parts: ['writing'],
    rounds: 2,
    seconds: 0.3,
    sizes: [8192, 2 ** 20],
    peers: ['ours', 'theirs'],
    connections: 4,
    idle: 70,
    out: '/x',
  });
});

test('the baseline runs whoever is picked, and peers keep their order', () => {
  assert.deepEqual(parse('--peers', 'another').peers, ['ours', 'another']);
  assert.deepEqual(parse('--peers', 'theirs,ours').peers, ['ours', 'theirs']);
});

for (const argv of [
  ['--rounds', '0'],
  ['--rounds', '1.5'],
  ['--seconds', '0'],
  ['--seconds', 'x'],
  ['--sizes', '4k'],
  ['--sizes', '2G'],
  ['--sizes', ''],
  ['--peers', 'nobody'],
  ['--connections', '2001'],
  ['--idle', '0'],
  ['--idle', '20001'],
  ['--parts', 'servers,nothing'],
  ['--parts', ''],
  ['--unknown', '1'],
  ['argument'],
]) {
  test(`${argv.join(' ')} is a usage error`, () => assert.throws(() => parse(...argv), UsageError));
}

test('parts keep their order', () => {
  assert.deepEqual(parse('--parts', 'writing,fresh,servers').parts, ['servers', 'fresh', 'writing']);
});

test('usage names every peer and every part', () => {
  for (const word of [...known, ...parts]) assert.ok(usage(known).includes(word));
});
