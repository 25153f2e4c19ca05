/** The real service under every pattern, for a moment each: all is right, and all adds up. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scenarios } from '../../loadtest/scenarios/scenarios.ts';
import { originOf, startCli } from '../support/process.ts';
import { folderFor, runLoadtest } from './run-loadtest.ts';
import { unlikeSchema } from './schema.ts';

test('every pattern, a writer too: right bytes, and counters that add up', { timeout: 110_000 }, async (scope) => {
  const names = scenarios.map(({ name }) => name).filter((name) => !name.startsWith('rate-'));
  const what = ['--scenarios', names.join(), '--peers', 'none', '--seconds', '0.2', '--rounds', '1'];
  const { code, results, printed } = await runLoadtest(scope, ...what);
  assert.equal(code, 0, printed);
  assert.deepEqual(
    results?.trials.map(({ scenario }) => scenario),
    names,
  );
  for (const { scenario, main, checker, server, isReconciled, writes } of results?.trials ?? []) {
    assert.ok(isReconciled, scenario);
    assert.ok(main.requests > 0 && main.bytes > 0, scenario);
    assert.ok(checker.checked.bodies > 0 && checker.checked.bodies === checker.requests, scenario);
    assert.ok((server?.cpuSeconds ?? 0) > 0 && (server?.voluntarySwitches ?? 0) > 0, scenario);
    if (scenario.startsWith('writer-')) assert.ok((writes?.written ?? 0) > 0, scenario);
    if (scenario.startsWith('resume-')) assert.ok(main.aborted.requests > 0, scenario);
  }
  assert.deepEqual(unlikeSchema(results), []);
  const points = results?.series.pagerelay ?? [];
  assert.ok(points.some(({ references }) => references > 0));
  assert.equal(points.at(-1)?.references, 0);
});

test('peers take turns in being the first, and run what they can', { timeout: 60_000 }, async (scope) => {
  const what = ['--profile', 'full', '--scenarios', 'zipf-16k,parquet-128k', '--peers', 'stream', '--seconds', '0.2'];
  const { code, results, printed } = await runLoadtest(scope, ...what, '--rounds', '2');
  assert.equal(code, 0, printed);
  const [ours, theirs] = results?.peers.map(({ name }) => name) ?? [];
  const ran = results?.trials.map(({ scenario, peer }) => [scenario, peer]);
  const zipf = [ours, theirs, theirs, ours].map((peer) => ['zipf-16k', peer]);
  assert.deepEqual(ran, [...zipf, ['parquet-128k', ours], ['parquet-128k', ours]]);
  assert.deepEqual(
    results?.missing.map(({ name }) => name),
    [`${theirs} in parquet-128k`],
  );
  assert.deepEqual(unlikeSchema(results), []);
});

test('a running service, with a token: its own metrics tell CPU and memory', { timeout: 60_000 }, async (scope) => {
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
  for (const { server, isReconciled } of results?.trials ?? []) {
    assert.ok(isReconciled && (server?.cpuSeconds ?? 0) > 0 && (server?.residentBytes ?? 0) > 0);
  }
});
