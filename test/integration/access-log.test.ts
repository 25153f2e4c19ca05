/** One line a request, whoever has sent its bytes, and however it ended. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ServiceOptions } from '../../src/service.ts';
import { isLong } from '../support/amount.ts';
import { everyEngine } from '../support/engines.ts';
import { type Line, type Logged, linesAtEnd, startLogged, untilLogged } from '../support/logged-service.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';

const mebibyte = 1 << 20;
const size = 24 * mebibyte;

function serveFile(t: TestContext, options: Partial<ServiceOptions> = {}): Promise<Logged> {
  return startLogged(t, { regions: [writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 131)], ...options });
}

function pick(line: Line | undefined, ...names: string[]): Line {
  return Object.fromEntries(names.map((name) => [name, line?.[name]]));
}

for (const engine of everyEngine) {
  test(`a body is one line with its bytes, complete or aborted, by ${engine}`, async (t) => {
    const served = await serveFile(t, { engine });
    await checkComplete(t, served, engine);
    await checkAborted(t, served, engine);
  });
}

for (const engine of isLong ? everyEngine : (['sendfile', 'stream'] as const)) {
  test(`a body that shutting down breaks off is one line, by ${engine}`, async (t) => {
    const served = await serveFile(t, { engine, drain: 0.2 });
    const client = await RawClient.connect(t, served.port);
    // By Node, as it may be, and by a lane then.
    for (let before = 0; before < 3; before++) {
      client.get('/regions/file.bin', '0-9');
      await client.response();
    }
    await untilLogged(served, 3);
    client.get('/regions/file.bin');
    await client.take(mebibyte);
    await served.close();
    client.destroy();
    const lines = await linesAtEnd(served, 4);
    assert.notEqual(lines[3]?.outcome, 'complete');
  });
}

async function checkComplete(t: TestContext, served: Logged, engine: string): Promise<void> {
  const client = await RawClient.connect(t, served.port);
  for (const range of ['0-99', '1-1000000']) {
    client.get('/regions/file.bin?x=1', range);
    await client.response();
  }
  client.destroy();
  const lines = await untilLogged(served, 2);
  const common = { method: 'GET', url: '/regions/file.bin?x=1', status: 206, remoteAddress: '127.0.0.1' };
  for (const [at, bytes] of [100, 1_000_000].entries()) {
    const expected = { ...common, outcome: 'complete', engine, bytes };
    assert.deepEqual(pick(lines[at], ...Object.keys(expected)), expected);
    assert.ok(Number(lines[at]?.milliseconds) > 0);
  }
}

async function checkAborted(t: TestContext, served: Logged, engine: string): Promise<void> {
  const before = served.lines().length;
  const client = await RawClient.connect(t, served.port);
  client.get('/regions/file.bin');
  await client.take(mebibyte);
  client.reset();
  const line = (await untilLogged(served, before + 1)).at(-1);
  const expected = { method: 'GET', status: 200, outcome: 'aborted', engine };
  assert.deepEqual(pick(line, ...Object.keys(expected)), expected);
  const bytes = Number(line?.bytes);
  assert.ok(bytes >= mebibyte - 1000 && bytes < size, `${bytes} bytes`);
}

test('answers without a body of a region are one line each', async (t) => {
  const served = await serveFile(t);
  const client = await RawClient.connect(t, served.port);
  client.write('HEAD /regions/file.bin HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const tag = (await client.response('HEAD')).fields.get('etag');
  client.get('/regions/file.bin', undefined, `If-None-Match: ${tag}\r\n`);
  assert.equal((await client.response()).status, 304);
  client.get('/regions/none');
  assert.equal((await client.response()).status, 404);
  client.get('/regions/%zz');
  assert.equal((await client.response()).status, 404);
  client.get('/nowhere');
  assert.equal((await client.response()).status, 404);
  client.get('/regions/file.bin', `${size}-`);
  assert.equal((await client.response()).status, 416);
  client.get('/healthz');
  await client.response();
  client.destroy();
  // Lines of lanes are not in the order of Node's.
  const byReqId = (line: Line) => (String(line.reqId).startsWith('lane-') ? 1 : 0);
  const sorted = (await linesAtEnd(served, 7)).sort((one, other) => byReqId(one) - byReqId(other));
  const lines = sorted.map((line) => pick(line, 'method', 'url', 'status', 'outcome'));
  const line = (method: string, url: string, status: number) => ({ method, url, status, outcome: 'complete' });
  assert.deepEqual(lines, [
    line('HEAD', '/regions/file.bin', 200),
    line('GET', '/regions/none', 404),
    line('GET', '/regions/%zz', 404),
    line('GET', '/nowhere', 404),
    line('GET', '/healthz', 200),
    line('GET', '/regions/file.bin', 304),
    line('GET', '/regions/file.bin', 416),
  ]);
});

test('requests that wait behind one whose client goes away are not begun, and have no line', async (t) => {
  const served = await serveFile(t);
  const client = await RawClient.connect(t, served.port);
  for (let request = 0; request < 3; request++) client.get('/regions/file.bin');
  await client.take(mebibyte);
  client.reset();
  const other = await RawClient.connect(t, served.port);
  other.get('/healthz');
  await other.response();
  const lines = await linesAtEnd(served, 2);
  assert.deepEqual(lines.map(({ url }) => url).sort(), ['/healthz', '/regions/file.bin']);
  assert.equal(lines.find(({ url }) => url !== '/healthz')?.outcome, 'aborted');
});
