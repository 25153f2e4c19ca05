/** Servers that do one thing wrong each: the harness must find out, end with 1, and say what it is. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { FaultKind } from '../../loadtest/clients/job.ts';
import { randomFrom } from '../../loadtest/model/random.ts';
import { scenarios } from '../../loadtest/model/scenarios.ts';
import { until } from '../support/poll.ts';
import { start } from '../support/process.ts';
import { folderFor, runLoadtest } from './run-loadtest.ts';

const program = fileURLToPath(new URL('bad-server.ts', import.meta.url));
const regionBytes = 2 ** 22;

async function loadOn(scope: TestContext, fault: string, names: string) {
  const file = join(folderFor(scope), 'region.bin');
  const random = randomFrom(1);
  writeFileSync(file, Buffer.from(Array.from({ length: regionBytes }, () => Math.floor(random() * 256))));
  const size = scenarios.find(({ name }) => name === names)?.size ?? 0;
  const server = start(scope, process.execPath, [program, fault, file, String(size)]);
  const listening = /http:\/\/\S+/;
  await until(() => listening.test(server.stdout()), 'the server listens', server.stderr);
  const url = listening.exec(server.stdout())?.[0] ?? '';
  const times = ['--seconds', '1.5', '--rounds', '1', '--settle', '1.5'];
  return runLoadtest(scope, '--url', url, '--reference', file, '--scenarios', names, ...times);
}

test('a server that does nothing wrong passes', async (scope) => {
  const { code, results, printed } = await loadOn(scope, 'nothing', 'random-4k,sequential-1m');
  assert.equal(code, 0, printed);
  assert.equal(results?.end, 'complete');
  assert.ok(results.trials.every(({ isReconciled }) => isReconciled));
});

const bad: [fault: string, scenario: string, kind: FaultKind, says: RegExp][] = [
  ['flips', 'sequential-1m', 'wrong-bytes', /GET \/regions\/demo, Range: bytes=.*the first at offset \d+: 0x/],
  ['truncates', 'random-64k', 'short-body', /GET \/regions\/demo, Range: bytes=\d+-\d+.*ended after/],
  ['truncates', 'sequential-1m', 'short-body', /GET \/regions\/demo, Range: bytes=\d+-\d+.*ended after/],
  ['miscounts', 'random-4k', 'metrics-mismatch', /pagerelay_sent_bytes_total counted \d+.*too many/],
  ['leaks', 'random-4k', 'gauge-not-zero', /pagerelay_references is 1, not 0/],
  ['dies', 'random-4k', 'server-gone', /died during the run: nobody listens on http/],
  ['dies', 'sequential-1m', 'server-gone', /died during the run: nobody listens on http/],
];
for (const [fault, scenario, kind, says] of bad) {
  test(`a server that ${fault} is caught and named, in ${scenario}`, async (scope) => {
    const { code, results, printed } = await loadOn(scope, fault, scenario);
    assert.equal(code, 1, printed);
    const [found] = results?.faults ?? [];
    assert.deepEqual([found?.kind, found?.scenario, found?.round], [kind, scenario, 1], printed);
    assert.match(printed, new RegExp(`FAILED: \\d+ faults?, the first: ${kind}`));
    assert.match(printed, says);
  });
}
