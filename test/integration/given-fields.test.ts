/** Fields that the service is told to add to answers of regions. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { answersOf, askLane } from '../support/lane-answers.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const path = '/regions/file.bin';
const headers = [
  { name: 'x-served-by', value: 'one, two' },
  { name: 'x-served-by', value: 'three' },
  { name: 'vary', value: 'X-Tenant' },
  { name: 'content-security-policy', value: "default-src 'none'" },
];
const cacheControl = 'public, max-age=60';

async function serve(t: TestContext, options: Parameters<typeof startService>[1] = {}): Promise<Running> {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'file.bin', 1000);
  return startService(t, { dir, ...options });
}

function check(fields: ReadonlyMap<string, string>, what: string): void {
  const of = (name: string) => fields.get(name);
  const all = [of('cache-control'), of('x-served-by'), of('vary'), of('content-security-policy')];
  assert.deepEqual(all, [cacheControl, 'one, two, three', 'X-Tenant', "default-src 'none'"], what);
}

test('they are in 200, 206, 304 and HEAD, by Node', async (t) => {
  const running = await serve(t, { headers, cacheControl, express: false });
  for (const [status, init] of [
    [200, {}],
    [200, { method: 'HEAD' }],
    [206, { headers: { range: 'bytes=0-9' } }],
    [206, { headers: { range: 'bytes=0-9,20-29' } }],
    [304, { headers: { 'if-none-match': '*' } }],
  ] as const) {
    const answer = await fetch(running.origin + path, init);
    await answer.arrayBuffer();
    assert.equal(answer.status, status);
    check(new Map(answer.headers), `${status}`);
  }
});

for (const range of ['0-9', 'whole'] as const) {
  test(`they are in what a lane answers by itself (${range})`, async (t) => {
    const running = await serve(t, { headers, cacheControl });
    const client = await RawClient.connect(t, running.port);
    await askLane(running, client, { path }, range);
    const before = answersOf(running);
    client.get(path, range === 'whole' ? undefined : range);
    const { fields, status } = await client.response();
    assert.equal(status, range === 'whole' ? 200 : 206);
    await until(() => answersOf(running) === before + 1, 'the lane has answered');
    // Of a field with several lines this client keeps the last.
    assert.equal(fields.get('x-served-by'), 'three');
    check(new Map([...fields, ['x-served-by', 'one, two, three']]), 'by a lane');
    client.destroy();
  });
}

test('errors and other addresses do not have them', async (t) => {
  const running = await serve(t, { headers });
  for (const address of ['/regions/none', '/regions', '/healthz']) {
    const answer = await fetch(running.origin + address);
    await answer.arrayBuffer();
    assert.equal(answer.headers.get('x-served-by'), null, address);
  }
});

test('caches are told to ask again by default', async (t) => {
  const running = await serve(t);
  const client = await RawClient.connect(t, running.port);
  client.get(path);
  assert.equal((await client.response()).fields.get('cache-control'), 'no-cache');
  const { fields } = await askLane(running, client, { path });
  assert.equal(fields.get('cache-control'), 'no-cache');
  client.destroy();
});
