/** Ctrl-C in the middle of a run: it ends with 130, leaves what it has, and nothing that runs. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { childrenOf } from '../../loadtest/measure/process-usage.ts';
import { until } from '../support/poll.ts';
import { folderFor, startLoadtest } from './run-loadtest.ts';

// A zombie has ended: whoever is to reap it is not of the run.
function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('ctrl-C stops everything', async (scope) => {
  const out = folderFor(scope);
  const scenarios = ['--scenarios', 'writer-64k,random-4k', '--servers', 'copy'];
  const child = startLoadtest(scope, ...scenarios, '--seconds', '1', '--rounds', '50', '--out', out);
  await until(() => /^2\/\d+ /m.test(child.stderr()), 'the second load has ended', child.stderr);
  const pids = childrenOf(child.process.pid ?? 0);
  assert.ok(pids.length >= 4, 'a server, a writer and clients run');
  child.process.kill('SIGINT');
  assert.deepEqual(await child.exited, { code: 130, signal: null });
  await until(
    () => !pids.some(isRunning),
    'nothing runs any more',
    () => pids.filter(isRunning),
  );
  const [folder = ''] = readdirSync(out);
  const results = JSON.parse(readFileSync(join(out, folder, 'results.json'), 'utf8')) as { end: string };
  assert.equal(results.end, 'interrupted');
});

test('a run ends when its time is over, with 1', async (scope) => {
  const out = folderFor(scope);
  const times = ['--seconds', '0.5', '--rounds', '100', '--max-minutes', '0.05'];
  const child = startLoadtest(
    scope,
    '--scenarios',
    'random-4k,random-64k',
    '--servers',
    'copy',
    ...times,
    '--out',
    out,
  );
  assert.deepEqual(await child.exited, { code: 1, signal: null });
  assert.match(child.stdout(), /Out of time/);
});

test('its time bounds a long load as well', async (scope) => {
  const began = performance.now();
  const what = ['--scenarios', 'random-4k', '--servers', 'none', '--seconds', '3600', '--max-minutes', '0.05'];
  const child = startLoadtest(scope, ...what, '--out', folderFor(scope));
  assert.deepEqual(await child.exited, { code: 1, signal: null });
  assert.match(child.stdout(), /Out of time/);
  assert.ok(performance.now() - began < 45_000);
});

test('a run asks no more often than it may', async (scope) => {
  const out = folderFor(scope);
  const times = ['--seconds', '20', '--rounds', '1', '--max-requests', '30'];
  const child = startLoadtest(scope, '--scenarios', 'media-512k,zipf-16k', '--servers', 'none', ...times, '--out', out);
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  const [folder = ''] = readdirSync(out);
  const results = JSON.parse(readFileSync(join(out, folder, 'results.json'), 'utf8'));
  for (const { main, checker } of results.trials) {
    assert.ok(main.requests <= 30 + 16 && checker.requests <= 30, `${main.requests}, ${checker.requests}`);
  }
});
