import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../src/command/options.ts';
import { parseProveOptions, proveUsage } from '../../src/command/prove-options.ts';

const asked = (argv: readonly string[], env: Record<string, string> = {}) => {
  const command = parseProveOptions(argv, env);
  assert.equal(command.kind, 'prove');
  return command.kind === 'prove' ? { json: command.json, ...command.options } : undefined;
};

test('without flags: what the machine offers, as auto would send it, for people', () => {
  assert.deepEqual(asked([]), { json: false, engine: 'auto', paths: [], seconds: 0.4 });
});

test('each flag sets its option; paths add up', () => {
  const argv = ['--json', '--path', '/mnt/pmem', '--engine=splice', '--seconds', '2.5', '--path', '/dev/dax0.0'];
  const paths = ['/mnt/pmem', '/dev/dax0.0'];
  assert.deepEqual(asked(argv), { json: true, engine: 'splice', paths, seconds: 2.5 });
});

test('the engine is the one that the service would have from its environment', () => {
  assert.equal(asked([], { PAGERELAY_ENGINE: 'copy' })?.engine, 'copy');
  assert.equal(asked([], { PAGERELAY_ENGINE: '' })?.engine, 'auto');
  assert.equal(asked(['--engine', 'auto'], { PAGERELAY_ENGINE: 'copy' })?.engine, 'auto');
  assert.equal(asked(['--engine', 'copy', '--engine', 'splice'])?.engine, 'splice');
});

const wrong: readonly (readonly [RegExp, readonly string[], Record<string, string>?])[] = [
  [/--bogus/, ['--bogus']],
  [/'x'/, ['x']],
  [/--path/, ['--path']],
  [/^--path must be a path that is not empty, not ""$/, ['--path', '']],
  [/^--engine must be one of auto, .*, not "fast"$/, ['--engine', 'fast']],
  [/^--seconds must be a number of seconds above 0, at most \d+, not "0"$/, ['--seconds', '0']],
  [/^--engine must be one of/, [], { PAGERELAY_ENGINE: 'fast' }],
];

test('what breaks a rule is refused by name', () => {
  for (const [message, argv, env = {}] of wrong) {
    assert.throws(
      () => parseProveOptions(argv, env),
      (error) => error instanceof UsageError && message.test(error.message),
      argv.join(' '),
    );
  }
});

test('help names every flag', () => {
  assert.deepEqual(parseProveOptions(['--help', '--json'], {}), { kind: 'help' });
  for (const flag of ['json', 'path', 'engine', 'seconds', 'help']) {
    assert.match(proveUsage(), new RegExp(`^  --${flag}( [A-Z]+)? {2,}\\S`, 'm'));
  }
});
