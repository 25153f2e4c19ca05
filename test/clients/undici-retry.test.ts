/** undici's RetryAgent: goes on by Range and If-Match after its connection is broken in the middle of a body. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { renameSync } from 'node:fs';
import { dirname } from 'node:path';
import type { TestContext } from 'node:test';
import { Agent, type Dispatcher, errors, RetryAgent, request } from 'undici';
import { type Break, startBreakingProxy } from '../support/breaking-proxy.ts';
import { clientTest, type Served } from '../support/client-tools.ts';
import { sha256, sha256OfFile, writeRegion } from '../support/regions.ts';

const mebibyte = 1 << 20;
const breaks: readonly Break[] = [
  { after: 3 * mebibyte + 11, by: 'end' },
  { after: mebibyte + 777, by: 'reset' },
  { after: 5 * mebibyte, by: 'end' },
];

type Asked = { readonly range: string | undefined; readonly ifMatch: string | undefined };

function makeAgent(t: TestContext): RetryAgent {
  const agent = new RetryAgent(new Agent(), { minTimeout: 20 });
  t.after(() => agent.close());
  return agent;
}

function askedBy(head: string): Asked {
  const field = (name: string) => new RegExp(`^${name}: (.*)\r$`, 'im').exec(head)?.[1];
  return { range: field('range'), ifMatch: field('if-match') };
}

// What came before an error counts too.
async function read(body: Dispatcher.ResponseData['body']) {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of body) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    return { bytes, sha256: hash.digest('hex'), error: undefined };
  } catch (error) {
    return { bytes, sha256: hash.digest('hex'), error };
  }
}

function assertResumed(sent: readonly string[], etag: unknown, first: number, last: number): void {
  const [, ...resumed] = sent.map(askedBy);
  const starts = resumed.map(({ range }) => Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1]));
  assert.deepEqual(
    resumed,
    starts.map((start) => ({ range: `bytes=${start}-${last}`, ifMatch: etag })),
  );
  for (const [index, start] of starts.entries()) assert.ok(start > (starts[index - 1] ?? first), starts.join());
}

clientTest('a body that is broken three times comes whole', [], async (t, served) => {
  const { name, size } = served.file;
  const proxy = await startBreakingProxy(t, served.port, breaks);
  const { statusCode, headers, body } = await request(`${proxy.origin}/regions/${name}`, { dispatcher: makeAgent(t) });
  assert.equal(statusCode, 200);
  assert.deepEqual(await read(body), { bytes: size, sha256: served.sha256, error: undefined });
  assert.equal(proxy.sent.length, breaks.length + 1);
  assertResumed(proxy.sent, headers.etag, 0, size - 1);
});

clientTest('a range that is broken three times comes whole', [], async (t, served) => {
  const { name, path } = served.file;
  const [first, last] = [1_000_003, 40_000_000];
  const proxy = await startBreakingProxy(t, served.port, breaks);
  const { statusCode, headers, body } = await request(`${proxy.origin}/regions/${name}`, {
    dispatcher: makeAgent(t),
    headers: { range: `bytes=${first}-${last}` },
  });
  assert.equal(statusCode, 206);
  const expected = { bytes: last - first + 1, sha256: sha256OfFile(path, first, last), error: undefined };
  assert.deepEqual(await read(body), expected);
  assert.equal(proxy.sent.length, breaks.length + 1);
  assertResumed(proxy.sent, headers.etag, first, last);
});

function replace({ file: { path, size } }: Served): void {
  renameSync(writeRegion(dirname(path), 'next.bin', size, 65).path, path);
}

clientTest('a region that is replaced in between is refused, not mixed', [], async (t, served) => {
  const { name, size } = served.file;
  const old = writeRegion(served.output, 'old.bin', size, 64);
  const proxy = await startBreakingProxy(t, served.port, breaks, () => replace(served));
  const { headers, body } = await request(`${proxy.origin}/regions/${name}`, { dispatcher: makeAgent(t) });
  const { bytes, sha256: got, error } = await read(body);
  assert.ok(error instanceof errors.RequestRetryError, String(error));
  assert.equal(error.statusCode, 412);
  assert.equal(proxy.sent.length, 2);
  assertResumed(proxy.sent, headers.etag, 0, size - 1);
  assert.ok(bytes > 0 && bytes < size, `${bytes} bytes`);
  assert.equal(got, sha256OfFile(old.path, 0, bytes - 1), 'what came is what was there before');

  const next = await request(served.url, { dispatcher: makeAgent(t) });
  assert.notEqual(next.headers.etag, headers.etag);
  assert.equal(sha256(Buffer.from(await next.body.arrayBuffer())), sha256OfFile(served.file.path, 0, size - 1));
});
