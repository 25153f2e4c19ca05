/** The one table of limits: the shim, the metric, the flags and the docs have what stands in it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { limitFlags } from '../../src/command/limit-flags.ts';
import { parseServeOptions, UsageError } from '../../src/command/options.ts';
import { limitReasons, limitRows, settleInPlugin, settleLimits } from '../../src/limits/limits.ts';
import { checkOptions } from '../../src/plugin-options.ts';
import { distinctions } from '../../src/relay/counters.ts';
import { makeRelay } from '../support/shim.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

test('the shim counts under the reasons of the table, in their order', () => {
  assert.deepEqual(distinctions.limited.values, Object.keys(limitReasons));
});

test('each reason is that of some limit', () => {
  const used = new Set(limitRows.flatMap(([, { reasons }]) => reasons));
  assert.deepEqual([...used].sort(), Object.keys(limitReasons).sort());
});

/** The names of the limits that the shim enforces. */
const ofShim = [...read('native-shim/core/base/limits.h').matchAll(/^ {4}LIMIT\(\w+, "(\w+)"\)/gm)].map(
  ([, name = '']) => name,
);

test('the limits that the shim enforces are of the table, but for what only a look can tell', () => {
  assert.ok(ofShim.length > 1, 'they were found');
  const names: string[] = limitRows.map(([name]) => name);
  assert.deepEqual(
    ofShim.filter((name) => !names.includes(name)),
    ['mostDescriptors', 'shortOfMemory'],
  );
});

test('the shim takes whole numbers for its limits, and nothing else', (t) => {
  const { shim, relay } = makeRelay(t);
  const limits = { ...settleLimits({}).elsewhere, mostDescriptors: 0, shortOfMemory: 0 };
  shim.limit(relay, limits, limits);
  for (const name of ofShim) {
    for (const wrong of ['1', -1, 0.5, undefined]) {
      const given = { ...limits, [name]: wrong } as typeof limits;
      assert.throws(() => shim.limit(relay, given, limits), TypeError, `${name}: ${wrong}`);
      assert.throws(() => shim.limit(relay, limits, given), TypeError, `${name}: ${wrong}`);
    }
  }
});

test('each limit is a flag, a variable and a key of the file, by one name', () => {
  for (const [name, { flag, least = 0 }] of limitRows) {
    const value = Math.max(7, least);
    const asKey = flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    assert.equal(asKey, name);
    const variable = `PAGERELAY_${flag.replaceAll('-', '_').toUpperCase()}`;
    const file = join(mkdtempSync(join(tmpdir(), 'pagerelay-limits-')), 'config.json');
    writeFileSync(file, JSON.stringify({ [name]: value }));
    for (const [argv, env] of [
      [[`--${flag}`, `${value}`], {}] as const,
      [[], { [variable]: `${value}` }] as const,
      [['--config', file], {}] as const,
    ]) {
      const command = parseServeOptions(argv, env);
      assert.equal(command.kind === 'serve' && command.options[name], value);
    }
    rmSync(dirname(file), { recursive: true });
    if (least > 0) assert.throws(() => parseServeOptions([`--${flag}`, '0'], {}), UsageError);
    else assert.doesNotThrow(() => parseServeOptions([`--${flag}`, '0'], {}));
    assert.throws(() => parseServeOptions([`--${flag}`, 'many'], {}), UsageError);
  }
});

test('the plugin has the options of the table that are its own, and its docs have them', () => {
  const [, type = ''] = /export type PagerelayOptions = \{([\s\S]*?)\n\} &/.exec(read('src/plugin-options.ts')) ?? [];
  const [, options = ''] = read('docs/plugin.md').split('\n## Options\n');
  for (const [name, { inPlugin = false }] of limitRows) {
    assert.equal(type.includes(`  readonly ${name}?: number;`), inPlugin, name);
    assert.equal(options.includes(`\`${name}\``), inPlugin, name);
  }
});

test('the plugin refuses what is no value of a limit, and has no defaults for addresses', () => {
  for (const wrong of [-1, 0.5, '7', null, 1_000_000_000]) {
    assert.throws(() => checkOptions({ requestsPerSecond: wrong as number }), TypeError, `${wrong}`);
  }
  assert.throws(() => checkOptions({ requestBurst: 0 }), TypeError);
  assert.equal(settleInPlugin({}).elsewhere.requestsPerSecond, 0);
  const given = settleInPlugin({ requestsPerSecond: 7, maxConnections: 3 });
  assert.deepEqual([given.elsewhere.requestsPerSecond, given.here.requestsPerSecond], [7, 7]);
  assert.equal(given.elsewhere.maxConnections, 0);
});

test('the docs have each limit with its default, what a client gets beyond it, and the reason that counts it', () => {
  const [, section = ''] = read('docs/operations.md').split('\n## Limits\n');
  const rows = [...section.matchAll(/^\| `--([a-z0-9-]+) \w+` \| (.*) \| (.*) \| (.*) \|$/gm)].map((row) =>
    row.slice(1),
  );
  const expected = limitRows.map(([name, { flag, answer, reasons }]) => [
    flag,
    limitFlags[name].shownDefault,
    answer,
    reasons.map((reason) => `\`${reason}\``).join(', '),
  ]);
  assert.deepEqual(rows, expected);
});
