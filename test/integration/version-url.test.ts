/** A URL with `?version=TAG` names one version: its bytes, or 412. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type GivenFields, validatorFields } from '../../src/http/read/region-headers.ts';
import type { Region } from '../../src/region/region.ts';
import { answersOf, askLane, connectToLane, fedOf } from '../support/lane-answers.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { seededBytes } from '../support/regions.ts';
import { codeOf, overwriting } from '../support/requests.ts';
import { put, send, startWritable, type Writable } from '../support/writable.ts';

const size = 200_000;
const path = '/regions/dir/a%20b.bin';
const name = 'dir/a b.bin';
const [first, second] = [seededBytes(size, 31), seededBytes(size, 32)];

async function startWithFile(t: TestContext, options = {}): Promise<Writable> {
  const running = await startWritable(t, 'tmpfs', { engine: 'sendfile', ...options });
  await put(t, running, path.slice('/regions/'.length), first);
  return running;
}

/** A file that was changed a moment ago could be changed again without another entity-tag: it is no version for good yet. */
async function untilSettled(url: string): Promise<void> {
  const isImmutable = async () =>
    /immutable/.test((await fetch(url, { method: 'HEAD' })).headers.get('cache-control') ?? '');
  await until(isImmutable, 'the version is told to be immutable');
}

type Listed = { readonly name: string; readonly etag: string; readonly versionUrl: string };

/** Where an answer says that its version is found for good. */
function linkedFrom(response: Response): string {
  const [, link] = /^<(.*)>; rel="bookmark"$/.exec(response.headers.get('link') ?? '') ?? [];
  return new URL(link ?? assert.fail('a link to the version'), response.url).href;
}

async function bytesOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

for (const express of [false, true]) {
  const by = express ? 'a lane' : 'Node';

  test(`answers by ${by} link to a URL at which their version is found, and which is told to be immutable`, async (t) => {
    const { origin } = await startWithFile(t, { express });
    for (let again = 0; again < 3; again++) {
      const current = await fetch(`${origin}${path}`);
      const url = linkedFrom(current);
      await untilSettled(url);
      assert.ok((await bytesOf(current)).equals(first));
      assert.equal(current.headers.get('cache-control'), 'no-cache');
      assert.equal(current.headers.get('content-location'), null);
      const versioned = await fetch(url, { headers: { range: 'bytes=10-109' } });
      assert.equal(versioned.status, 206);
      assert.ok((await bytesOf(versioned)).equals(first.subarray(10, 110)));
      assert.equal(versioned.headers.get('cache-control'), 'max-age=31536000, immutable');
      assert.equal(new URL(versioned.headers.get('content-location') ?? '', url).href, url);
      assert.equal(versioned.headers.get('link'), null);
      assert.equal(versioned.headers.get('etag'), current.headers.get('etag'));
      const etag = current.headers.get('etag') ?? '';
      const same = await fetch(url, { headers: { 'if-none-match': etag } });
      assert.deepEqual([same.status, same.headers.get('cache-control')], [304, 'max-age=31536000, immutable']);
    }
  });

  for (const [change, act] of Object.entries({
    overwritten: (t: TestContext, running: Writable) =>
      send(t, running, overwriting(path, 1000, second.subarray(1000, 1100), 10)),
    replaced: (t: TestContext, running: Writable) => put(t, running, path.slice('/regions/'.length), second),
  })) {
    test(`the URL of a version is 412 by ${by} once the region is ${change}, and that of the new one is right`, async (t) => {
      const running = await startWithFile(t, { express });
      const { origin } = running;
      let url = '';
      // So often that a lane answers by it, if lanes do.
      for (let again = 0; again < 3; again++) {
        const head = await fetch(url || `${origin}${path}`, { method: 'HEAD' });
        assert.equal(head.status, 200);
        url ||= linkedFrom(head);
      }
      await act(t, running);
      for (const method of ['GET', 'HEAD']) {
        const gone = await fetch(url, { method, headers: { range: 'bytes=0-9' } });
        const body = await gone.text();
        assert.equal(gone.status, 412, method);
        if (method === 'GET') assert.equal(JSON.parse(body).code, 'precondition-failed');
        assert.equal(gone.headers.get('cache-control'), null);
      }
      const now = await fetch(`${origin}${path}`);
      const next = linkedFrom(now);
      assert.notEqual(next, url);
      const content = await bytesOf(now);
      assert.equal(content.compare(second, 1000, 1100, 1000, 1100), 0);
      assert.ok((await bytesOf(await fetch(next))).equals(content));
    });
  }
}

test('a lane answers for a version that was asked for before, and for the current one behind it', async (t) => {
  const running = await startWithFile(t, { express: true });
  const etag = (await fetch(`${running.origin}${path}`, { method: 'HEAD' })).headers.get('etag') ?? '';
  const versioned = `${path}?version=${etag.slice(1, -1)}`;
  const client = await connectToLane(t, running, { path: versioned });
  const before = { answers: answersOf(running), fed: fedOf(running) };
  for (let asked = 0; asked < 10; asked++) {
    client.get(asked % 2 ? path : versioned, '5-104');
    const { status, body, fields } = await client.response();
    assert.ok(status === 206 && body.equals(first.subarray(5, 105)));
    assert.equal(fields.get('content-location'), asked % 2 ? undefined : `?version=${etag.slice(1, -1)}`);
    assert.equal(fields.get('link'), asked % 2 ? `<?version=${etag.slice(1, -1)}>; rel="bookmark"` : undefined);
  }
  assert.ok(answersOf(running) >= before.answers + 9, 'by the lane');
  await send(t, running, overwriting(path, 0, second.subarray(0, 10), 10));
  const now = await askLane(running, client, { path });
  assert.ok(now.body.equals(second.subarray(0, 10)), 'the current version stays with the lane');
  assert.ok(now.fields.get('link')?.includes(now.fields.get('etag')?.slice(1, -1) ?? 'none'));
  client.get(versioned, '0-9');
  assert.equal((await client.response()).status, 412);
  client.destroy();
});

test('a version that is no version, and an empty one, are 412; two of them are 400; of no region, 404', async (t) => {
  const { origin } = await startWithFile(t);
  const status = async (query: string, at = path) => (await fetch(`${origin}${at}${query}`)).status;
  assert.equal(await status('?version='), 412);
  assert.equal(await status('?version=%22'), 412);
  assert.equal(await status('?version=*'), 412);
  assert.equal(await status('?version=a&version=b'), 400);
  assert.equal(await status('?version=a', '/regions/none'), 404);
  assert.equal(await status('?other=a'), 200);
});

test('a request that changes a region is refused with a version: it would look like a precondition', async (t) => {
  const running = await startWithFile(t);
  const etag = (await fetch(`${running.origin}${path}`, { method: 'HEAD' })).headers.get('etag') ?? '';
  const url = `${running.origin}${path}?version=${etag.slice(1, -1)}`;
  for (const method of ['PUT', 'PATCH', 'DELETE']) {
    const body = method === 'DELETE' ? null : '{}';
    const headers = { 'content-type': 'application/merge-patch+json' };
    const refused = await fetch(url, { method, body, headers });
    assert.deepEqual(
      [method, refused.status, codeOf({ body: Buffer.from(await refused.arrayBuffer()) })],
      [method, 400, 'bad-query'],
    );
  }
  assert.ok((await bytesOf(await fetch(`${running.origin}${path}`))).equals(first));
});

test('lists give the URL of the version of each region', async (t) => {
  const { origin } = await startWithFile(t);
  const { regions } = (await (await fetch(`${origin}/regions`)).json()) as { regions: Listed[] };
  const { versionUrl, etag } = regions.find((each) => each.name === name) ?? assert.fail('it is listed');
  const response = await fetch(new URL(versionUrl, `${origin}/regions`));
  assert.deepEqual([response.status, response.headers.get('etag')], [200, etag]);
  assert.ok((await bytesOf(response)).equals(first));
});

test('what was chosen about caching holds for a version as well, and so does that nothing is said', async (t) => {
  for (const [cacheControl, expected] of [
    ['private, max-age=60', 'private, max-age=60, immutable'],
    [false, null],
  ] as const) {
    const { origin } = await startWithFile(t, { cacheControl });
    const url = linkedFrom(await fetch(`${origin}${path}`));
    if (expected) await untilSettled(url);
    assert.equal((await fetch(url)).headers.get('cache-control'), expected);
  }
});

test('a version of a file that was changed right now is to be asked about, and is not the lanes’ to answer for', async (t) => {
  const running = await startWithFile(t, { express: true });
  const file = join(running.dir, name);
  let url = '';
  // The answer may come too late to be one of a file that was changed right now.
  const isInTime = async () => {
    writeFileSync(file, first);
    url = linkedFrom(await fetch(`${running.origin}${path}`, { method: 'HEAD' }));
    return (await fetch(url, { method: 'HEAD' })).headers.get('cache-control') === 'no-cache';
  };
  await until(isInTime, 'an answer in time');
  await untilSettled(url);
});

test('only the service itself says that shared caches may keep a version', () => {
  const region = { etag: '"a"', name: 'a' } as Region;
  const of = (given: GivenFields) => validatorFields(region, { version: 'a', ...given })['cache-control'];
  assert.equal(of({}), 'private, max-age=31536000, immutable');
  assert.equal(of({ cacheControl: 'no-cache', shared: true }), 'max-age=31536000, immutable');
  assert.equal(of({ cacheControl: 'no-cache' }), 'no-cache, immutable');
  assert.equal(of({ cacheControl: 'public, immutable', shared: true }), 'public, immutable');
  assert.equal(of({ cacheControl: 'no-cache', shared: true, settled: false }), 'no-cache');
  assert.equal(of({ cacheControl: false }), undefined);
});

test('a client that joins ranges by the URL of a version never gets two of them', async (t) => {
  const running = await startWithFile(t, { express: true });
  const url = new URL(linkedFrom(await fetch(`${running.origin}${path}`)));
  const client = await RawClient.connect(t, running.port);
  const parts: Buffer[] = [];
  let status = 206;
  for (let at = 0; at < size && status === 206; at += 50_000) {
    if (at === 100_000) await put(t, running, path.slice('/regions/'.length), second);
    client.get(url.pathname + url.search, `${at}-${at + 49_999}`);
    const response = await client.response();
    status = response.status;
    if (status === 206) parts.push(response.body);
  }
  assert.equal(status, 412);
  assert.ok(Buffer.concat(parts).equals(first.subarray(0, 100_000)));
  client.destroy();
});
