/** Pages of other origins read ranges, as the Fetch standard has their browsers ask. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { answersOf, askLane } from '../support/lane-answers.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const origin = 'https://app.example';
const path = '/regions/file.bin';

async function serve(t: TestContext, cors: readonly string[], more: object = {}): Promise<Running> {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'file.bin', 100_000, 301);
  return startService(t, { dir, cors, ...more });
}

async function ask({ origin: at }: Running, url: string, headers: Record<string, string>, method = 'GET') {
  const response = await fetch(at + url, { method, headers });
  await response.arrayBuffer();
  return response;
}

const preflight = {
  origin,
  'access-control-request-method': 'GET',
  'access-control-request-headers': 'authorization,if-none-match,if-range,range',
};

for (const [allowed, varies] of [
  ['*', undefined],
  [origin, 'Origin'],
] as const) {
  test(`--cors ${allowed}: a page sees what ranges need, whoever answers, and whatever the answer is`, async (t) => {
    const running = await serve(t, [allowed]);
    for (let again = 0; again < 3; again++) {
      for (const [headers, status] of [
        [{ range: 'bytes=0-9' }, 206],
        [{ range: 'bytes=0-1,5-6' }, 206],
        [{ range: 'bytes=900000-' }, 416],
        [{}, 200],
      ] as const) {
        const response = await ask(running, path, { origin, ...headers });
        assert.equal(response.status, status);
        assert.equal(response.headers.get('access-control-allow-origin'), allowed);
        assert.equal(response.headers.get('vary'), varies ?? null);
        const exposed = (response.headers.get('access-control-expose-headers') ?? '').split(', ');
        for (const name of ['accept-ranges', 'content-range', 'content-length', 'etag', 'last-modified'])
          assert.ok(exposed.includes(name), name);
      }
    }
    assert.equal((await ask(running, '/regions/none', { origin })).headers.get('access-control-allow-origin'), allowed);
  });

  test(`--cors ${allowed}: a preflight allows what range readers send, and no writing`, async (t) => {
    const running = await serve(t, [allowed], { writable: true });
    for (const url of [path, '/regions']) {
      const { status, headers } = await ask(running, url, preflight, 'OPTIONS');
      assert.equal(status, 204);
      assert.equal(headers.get('access-control-allow-origin'), allowed);
      assert.equal(headers.get('access-control-allow-methods'), 'GET, HEAD');
      assert.equal(headers.get('access-control-allow-headers'), preflight['access-control-request-headers']);
      assert.ok(Number(headers.get('access-control-max-age')) > 0);
    }
  });

  test(`--cors ${allowed}: what tells of readers is for no other origin, and OPTIONS is as ever`, async (t) => {
    const running = await serve(t, [allowed]);
    for (const url of ['/metrics', '/references', '/', '/healthz'])
      assert.equal((await ask(running, url, { origin })).headers.get('access-control-allow-origin'), null, url);
    const { status, headers } = await ask(running, path, {}, 'OPTIONS');
    assert.deepEqual([status, headers.get('allow')], [204, 'GET, HEAD, OPTIONS']);
  });
}

test('with origins that are named no other is allowed', async (t) => {
  const running = await serve(t, [origin, 'http://localhost:8080']);
  for (const [asked, allowed] of [
    ['http://localhost:8080', 'http://localhost:8080'],
    ['http://localhost', null],
    ['https://app.example.evil.example', null],
    ['null', null],
  ] as const) {
    const { headers } = await ask(running, path, { origin: asked });
    assert.deepEqual([headers.get('access-control-allow-origin'), headers.get('vary')], [allowed, 'Origin'], asked);
  }
});

test('without --cors nothing is said to a page, and its preflight is refused', async (t) => {
  const running = await serve(t, []);
  const { headers } = await ask(running, path, { origin, range: 'bytes=0-9' });
  assert.equal(headers.get('access-control-allow-origin'), null);
  const answer = await ask(running, path, preflight, 'OPTIONS');
  assert.equal(answer.headers.get('access-control-allow-origin'), null);
});

test('a page without a token is told that it needs one, and its preflight does not', async (t) => {
  const tokens = join(makeFolder(t, 'tmpfs'), 'tokens');
  writeFileSync(tokens, 'secret\n');
  const running = await serve(t, ['*'], { readTokenFile: tokens });
  const refused = await ask(running, path, { origin });
  assert.deepEqual([refused.status, refused.headers.get('access-control-allow-origin')], [401, '*']);
  assert.equal((await ask(running, path, preflight, 'OPTIONS')).status, 204);
  assert.equal((await ask(running, path, { origin, authorization: 'Bearer secret' })).status, 200);
});

test('lanes answer pages of any origin by themselves; those of origins that are named are left to Node', async (t) => {
  for (const [allowed, byLanes] of [
    ['*', 5],
    [origin, 0],
  ] as const) {
    const running = await serve(t, [allowed]);
    const client = await RawClient.connect(t, running.port);
    const first = await askLane(running, client, { path });
    assert.equal(first.fields.get('vary'), allowed === '*' ? undefined : 'Origin');
    const before = answersOf(running);
    for (let again = 0; again < 5; again++) {
      client.get(path, '0-9', `Origin: ${origin}\r\n`);
      assert.equal((await client.response()).fields.get('access-control-allow-origin'), allowed);
    }
    client.get('/healthz');
    await client.response();
    assert.equal(answersOf(running) - before, byLanes);
  }
});
