/** The real service under every pattern, for a moment each: all is right, and all adds up. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Results } from '../../loadtest/report/results.ts';
import { originOf, startCli } from '../support/process.ts';
import { folderFor, runLoadtest } from './run-loadtest.ts';
import { unlikeSchema } from './schema.ts';

async function runAlone(scope: TestContext, names: readonly string[], ...more: readonly string[]) {
  const what = ['--scenarios', names.join(), '--servers', 'none', '--seconds', '0.2', '--rounds', '1', ...more];
  const { code, results, printed } = await runLoadtest(scope, ...what);
  assert.equal(code, 0, printed);
  assert.deepEqual([...new Set(results?.trials.map(({ scenario }) => scenario))], names);
  assert.deepEqual(unlikeSchema(results), []);
  return results as Results;
}

test('every pattern, a writer too: right bytes, and counters that add up', async (scope) => {
  const names = [
    'zipf-16k',
    'media-512k',
    'parquet-128k',
    'resume-4m',
    'slow-2m',
    'multi-range-8k',
    'whole',
    'writer-64k',
  ];
  const { trials, series } = await runAlone(scope, ['random-4k', 'sequential-1m', ...names]);
  for (const { scenario, server, main, checker, use, isReconciled, writes } of trials) {
    assert.ok(isReconciled, scenario);
    assert.ok(main.requests > 0 && main.bytes > 0, scenario);
    assert.ok((checker?.checked.bodies ?? 0) > 0 && checker?.checked.bodies === checker?.requests, scenario);
    assert.ok((use?.cpuSeconds ?? 0) > 0 && (use?.switches ?? 0) > 0, scenario);
    if (server.includes('beside')) assert.ok((writes?.written ?? 0) > 0, scenario);
    if (scenario.startsWith('resume-')) assert.ok(main.aborted.requests > 0, scenario);
  }
  const points = series.pagerelay ?? [];
  assert.ok(points.some(({ references }) => references > 0));
  assert.equal(points.at(-1)?.references, 0);
});

const kinds = ['own-field-4k', 'regions-20-4k', 'revalidate', 'head', 'tokens-4k', 'log-4k', 'close-4k', 'kept-10-4k'];
for (const clients of ['fast', 'checking'] as const) {
  test(`every kind of request by the ${clients} clients: right answers, and counters that add up`, async (scope) => {
    const names = [...kinds, 'fresh-4k', 'http10-4k'];
    const { trials, rows } = await runAlone(scope, names, '--clients', clients);
    for (const { scenario, main, isReconciled } of trials) assert.ok(isReconciled && main.requests > 0, scenario);
    const client = (name: string) => rows.find(({ scenario }) => scenario === name)?.client;
    assert.deepEqual(
      names.map(client),
      names.map((name) => clientOf(name, clients)),
    );
  });
}

function clientOf(name: string, clients: 'fast' | 'checking'): string {
  if (clients === 'fast' || name === 'fresh-4k' || name === 'http10-4k') return 'c';
  return ['revalidate', 'head', 'close-4k', 'kept-10-4k'].includes(name) ? 'undici' : 'autocannon';
}

test('idle connections, half of the peak of nginx, two processors', async (scope) => {
  const what = ['--scenarios', 'idle,half-rate-4k,two-processors-64k', '--servers', 'nginx-cache', '--clients', 'fast'];
  const { code, results, printed } = await runLoadtest(scope, ...what, '--seconds', '0.2', '--rounds', '1');
  assert.equal(code, 0, printed);
  const row = (name: string, server = 'pagerelay') =>
    results?.rows.find((each) => each.scenario === name && each.server === server);
  assert.ok((row('idle')?.idle?.residentBytes.median ?? 0) > 0);
  assert.deepEqual(unlikeSchema(results), []);
  const absent = results?.missing.map(({ name, why }) => `${name}: ${why}`).join('\n') ?? '';
  if (/nginx.*not installed/.test(absent))
    return console.warn('*** half of nginx’s peak is NOT tested: there is no nginx');
  assert.ok((row('half-rate-4k')?.requests ?? 0) > 0 && row('two-processors-64k', 'nginx + open_file_cache'));
});

test('ten thousand regions, each asked for once, of a server that has answered nothing', async (scope) => {
  const { trials } = await runAlone(scope, ['cold']);
  assert.deepEqual(
    trials.map(({ main, isReconciled }) => [main.requests, isReconciled]),
    [[10_000, true]],
  );
});

test('peers take turns in being the first, and run what they can', async (scope) => {
  const what = [
    '--profile',
    'full',
    '--scenarios',
    'zipf-16k,revalidate,unix-4k',
    '--servers',
    'stream',
    '--seconds',
    '0.2',
  ];
  const { code, results, printed } = await runLoadtest(scope, ...what, '--rounds', '2');
  assert.equal(code, 0, printed);
  const [ours, theirs] = results?.servers.map(({ name }) => name) ?? [];
  const ran = results?.trials.map(({ scenario, server }) => [scenario, server]);
  const zipf = [ours, theirs, theirs, ours].map((server) => ['zipf-16k', server]);
  const rest = [ours, ours].map((server) => ['revalidate', server]);
  const unix = [ours, theirs, theirs, ours].map((server) => ['unix-4k', server]);
  assert.deepEqual(ran, [...zipf, ...rest, ...unix]);
  assert.deepEqual(results?.missing, [{ name: `${theirs} in revalidate`, why: 'not supported: entity tags' }]);
  assert.deepEqual(unlikeSchema(results), []);
});

test('a running service, with a token: its own metrics tell CPU and memory', async (scope) => {
  const folder = folderFor(scope);
  const token = join(folder, 'token');
  writeFileSync(token, 'a-token-of-enough-length-to-be-taken\n');
  writeFileSync(join(folder, 'region.bin'), Buffer.alloc(3_000_001, 'abcdefg'));
  const region = `data=${join(folder, 'region.bin')}`;
  const flags = [
    '--port',
    '0',
    '--region',
    region,
    '--read-token-file',
    token,
    '--log-level',
    'silent',
    '--drain',
    '1',
  ];
  const origin = await originOf(startCli(scope, ['serve', ...flags]));
  const what = ['--scenarios', 'random-4k,media-512k,rate-4k,writer-64k', '--seconds', '0.4', '--rounds', '1'];
  const { code, results, printed } = await runLoadtest(scope, '--url', origin, '--token-file', token, ...what);
  assert.equal(code, 0, printed);
  assert.match(printed, /writer-64k is NOT measured/);
  assert.doesNotMatch(JSON.stringify(results), /a-token/);
  const rates = results?.rows.map(({ scenario, requestsPerSecond }) => [scenario, requestsPerSecond.median] as const);
  // A rate is kept from above, however slow the machine is.
  assert.ok((new Map(rates).get('rate-4k') ?? 0) <= 2001, JSON.stringify(rates));
  for (const { use, isReconciled } of results?.trials ?? []) {
    assert.ok(isReconciled && (use?.cpuSeconds ?? 0) > 0 && (use?.residentBytes ?? 0) > 0);
  }
});
