/** A server that can't keep up with a fixed rate, nor has metrics: both are said. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Job } from '../../loadtest/clients/job.ts';
import { addLatencies, percentile } from '../../loadtest/clients/latency.ts';
import { runUndici } from '../../loadtest/clients/undici.ts';
import { clientFor } from '../../loadtest/run/contender.ts';
import { folderFor, runLoadtest } from './run-loadtest.ts';

const region = Buffer.alloc(2 ** 20, 'abc');
const lateMilliseconds = 50;

async function startLate(scope: TestContext): Promise<string> {
  const server = createServer(({ url = '', method, headers }, response) => {
    if (url !== '/regions/late') return void response.writeHead(404).end();
    if (method === 'HEAD') return void response.writeHead(200, { 'content-length': region.length }).end();
    const [, first = '', last = ''] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
    const body = region.subarray(Number(first), Number(last) + 1);
    const fields = { 'content-length': body.length, 'content-range': `bytes ${first}-${last}/${region.length}` };
    setTimeout(() => response.writeHead(206, fields).end(body), lateMilliseconds);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const scenario = { pattern: 'random', size: 4096, connections: 4 } as const;

function jobAt(origin: string, rate: number): Job {
  const where = { origin, host: '127.0.0.1', path: '/regions/late', regionBytes: region.length, reference: undefined };
  const own = { headers: {}, tokens: [], etags: [] };
  const asked = { scenario: { ...scenario, rate }, seconds: 1, most: 1e6, seed: 1, checkEvery: 1 };
  return { client: clientFor(asked.scenario, 'checking'), ...where, ...own, ...asked };
}

test('what was due and not sent is missed, and latency has the wait before it was sent', async (scope) => {
  const job = jobAt(await startLate(scope), 400);
  assert.equal(job.client, 'undici');
  const result = await runUndici(job);
  assert.deepEqual(result.faults, []);
  assert.ok(result.missed > 100, `${result.missed} missed`);
  // Four connections answer 80 a second: half of what is answered had to wait for much longer than its answer took.
  assert.ok(percentile(addLatencies([result.latency]), 50) > 4 * lateMilliseconds * 1000);
});

test('nothing is missed of a rate that is kept, and latency is what the server takes', async (scope) => {
  const result = await runUndici(jobAt(await startLate(scope), 5));
  assert.equal(result.missed, 0);
  assert.ok(percentile(addLatencies([result.latency]), 50) >= 0.8 * lateMilliseconds * 1000);
});

test('a report says so, and names a server that is not ours by its host', async (scope) => {
  const origin = await startLate(scope);
  const reference = join(folderFor(scope), 'reference');
  writeFileSync(reference, region);
  const where = ['--url', origin, '--region', 'late', '--reference', reference];
  const { code, results, printed } = await runLoadtest(scope, ...where, '--scenarios', 'rate-4k', '--rounds', '1');
  assert.equal(code, 0, printed);
  const [row] = results?.rows ?? [];
  // A busy machine can leave the client itself too little time; that is said first.
  assert.ok(row?.limit === 'rate not reached' || row?.limit === 'client');
  assert.ok(row.missed > 0 && row.latency.p50 >= 40_000);
  assert.deepEqual([row.server, results?.baseline], [new URL(origin).host, new URL(origin).host]);
  assert.match(printed, /NOT compared: \/metrics answers 404/);
  assert.deepEqual(results?.missing, [{ name: 'comparison with metrics', why: '/metrics answers 404' }]);
});
