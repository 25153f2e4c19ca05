/** Connections of every kind carry every byte: kept alive, pipelined, many, old, half-closed. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../src/relay/relay.ts';
import { amount, inTurn } from '../support/amount.ts';
import { everyEngine } from '../support/engines.ts';
import { EndedEarly, RawClient, type RawResponse } from '../support/raw.ts';
import { bytesOf, makeFolder, type RegionFile, sha256, sha256OfFile, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';

const mebibyte = 1 << 20;
const turns = amount(100, 1000);
const many = amount(50, 200);
const slowSize = amount(16, 50) * mebibyte;

/** One request of a mix, and what is right for it. */
type Asked = { readonly method: string; readonly path: string; readonly range: readonly [number, number] | undefined };

function requestText({ method, path, range }: Asked): string {
  const field = range ? `Range: bytes=${range[0]}-${range[1]}\r\n` : '';
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${field}\r\n`;
}

function checkAnswer(asked: Asked, answer: RawResponse, file: RegionFile): void {
  const what = JSON.stringify(asked);
  if (asked.method === 'HEAD') {
    assert.deepEqual([answer.status, answer.fields.get('content-length')], [200, String(file.size)], what);
  } else if (asked.range) {
    assert.equal(answer.status, 206, what);
    assert.equal(sha256(answer.body), sha256OfFile(file.path, ...asked.range), what);
  } else {
    assert.equal(answer.status, 200, what);
    const body = JSON.parse(answer.body.toString()) as { status?: string; regions?: { name: string }[] };
    assert.ok(body.status === 'ok' || body.regions?.[0]?.name === file.name, what);
  }
}

function mixedRequest(turn: number, file: RegionFile): Asked {
  if (turn % 10 === 3) return { method: 'GET', path: '/healthz', range: undefined };
  if (turn % 10 === 6) return { method: 'GET', path: '/regions', range: undefined };
  if (turn % 10 === 9) return { method: 'HEAD', path: `/regions/${file.name}`, range: undefined };
  const length = turn % 50 === 0 ? mebibyte + turn : 1 + ((turn * 2654435761) % 30_000);
  const first = (turn * 40_503) % (file.size - length);
  return { method: 'GET', path: `/regions/${file.name}`, range: [first, first + length - 1] };
}

async function keepAlive(t: TestContext, port: number, file: RegionFile): Promise<void> {
  const client = await RawClient.connect(t, port);
  for (let turn = 0; turn < turns; turn++) {
    const asked = mixedRequest(turn, file);
    client.write(requestText(asked));
    checkAnswer(asked, await client.response(asked.method), file);
  }
  client.destroy();
}

async function pipeline(t: TestContext, port: number, file: RegionFile): Promise<void> {
  const region = (first: number, last: number): Asked => ({
    method: 'GET',
    path: `/regions/${file.name}`,
    range: [first, last],
  });
  const health: Asked = { method: 'GET', path: '/healthz', range: undefined };
  const head: Asked = { method: 'HEAD', path: `/regions/${file.name}`, range: undefined };
  const list: Asked = { method: 'GET', path: '/regions', range: undefined };
  const asked = [
    region(0, 0),
    region(5, 2 * mebibyte),
    health,
    region(4096, 8191),
    head,
    region(1, 3 * mebibyte + 7),
    region(100, 70_000),
    list,
    region(7, mebibyte),
    region(file.size - 3, file.size - 1),
  ];
  const client = await RawClient.connect(t, port);
  client.write(asked.map(requestText).join(''));
  for (const each of asked) checkAnswer(each, await client.response(each.method), file);
  client.destroy();
}

async function manyAtOnce(t: TestContext, port: number, file: RegionFile): Promise<void> {
  const fetch = async (_: unknown, turn: number) => {
    const length = 1 + ((turn * 7919) % 300_000);
    const first = (turn * 104_729) % (file.size - length);
    const client = await RawClient.connect(t, port);
    for (let again = 0; again < 2; again++) {
      client.get(`/regions/${file.name}`, `${first}-${first + length - 1}`);
      const { status, body } = await client.response();
      assert.equal(status, 206);
      assert.ok(body.equals(bytesOf(file.path, first, first + length - 1)), `connection ${turn}`);
    }
    client.destroy();
  };
  await Promise.all(Array.from({ length: many }, fetch));
}

async function http10(t: TestContext, port: number, file: RegionFile): Promise<void> {
  const path = `/regions/${file.name}`;
  const plain = await RawClient.connect(t, port);
  plain.write(`GET ${path} HTTP/1.0\r\nRange: bytes=3-199999\r\n\r\n`);
  const { status, fields } = await plain.head();
  assert.deepEqual([status, fields.get('connection')], [206, 'close']);
  assert.deepEqual(await plain.rest(), {
    bytes: 199_997,
    sha256: sha256OfFile(file.path, 3, 199_999),
    error: undefined,
  });

  const kept = await RawClient.connect(t, port);
  for (let again = 0; again < 3; again++) {
    kept.write(`GET ${path} HTTP/1.0\r\nConnection: keep-alive\r\nRange: bytes=${again}-199999\r\n\r\n`);
    const answer = await kept.response();
    assert.equal(answer.fields.get('connection'), 'keep-alive');
    assert.equal(sha256(answer.body), sha256OfFile(file.path, again, 199_999));
  }
  kept.destroy();
}

async function connectionClose(t: TestContext, port: number, file: RegionFile): Promise<void> {
  const client = await RawClient.connect(t, port);
  client.get(`/regions/${file.name}`, '1-2000000', 'Connection: close\r\n');
  assert.equal((await client.head()).fields.get('connection'), 'close');
  const expected = { bytes: 2_000_000, sha256: sha256OfFile(file.path, 1, 2_000_000), error: undefined };
  assert.deepEqual(await client.rest(), expected);
}

async function halfClosed(t: TestContext, port: number, file: RegionFile): Promise<void> {
  for (const last of [99, 60_000, 3 * mebibyte]) {
    const client = await RawClient.connect(t, port);
    client.get(`/regions/${file.name}`, `0-${last}`);
    client.end();
    assert.equal((await client.head()).status, 206);
    const expected = { bytes: last + 1, sha256: sha256OfFile(file.path, 0, last), error: undefined };
    assert.deepEqual(await client.rest(), expected);
  }
}

const behaviours = {
  [`${turns} requests of every kind on one connection`]: keepAlive,
  '10 pipelined requests of every kind': pipeline,
  [`${many} connections at once`]: manyAtOnce,
  'HTTP/1.0, with and without keep-alive': http10,
  'Connection: close': connectionClose,
  'a client that sends its FIN right after its request': halfClosed,
};

for (const [at, engine] of everyEngine.entries()) {
  for (const lanes of engine === 'stream' ? [1] : inTurn([1, 3], at)) {
    test(`right on every connection by ${engine} with ${lanes} lanes`, async (t) => {
      const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 4 * mebibyte + 1001, 21);
      for (const [behaviour, check] of Object.entries(behaviours)) {
        await t.test(behaviour, async (t) => {
          const { service, port, close } = await startService(t, { engine, lanes, regions: [file] });
          await check(t, port, file);
          assert.equal(await close(), true, 'nothing is left in flight');
          assert.equal(service.app.server.listening, false);
        });
      }
    });
  }
}

async function readSlowly(t: TestContext, engine: Engine): Promise<void> {
  const size = slowSize;
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 22);
  const { port } = await startService(t, { engine, regions: [file] });
  const client = await RawClient.connect(t, port);
  client.get('/regions/file.bin');
  client.end();
  assert.equal((await client.head()).status, 200);
  const expected = bytesOf(file.path, 0, size - 1);
  for (let at = 0; at < size; at += mebibyte) {
    // A reader's own pace: nothing is waited for here.
    await new Promise((resolve) => setTimeout(resolve, 20));
    const part = await client.take(mebibyte);
    assert.ok(part.equals(expected.subarray(at, at + mebibyte)), `the mebibyte at ${at}`);
  }
  await assert.rejects(client.take(1), (error) => error instanceof EndedEarly && error.got === 0);
}

test(`a half-closed client that reads ${slowSize} bytes slowly gets all of it`, async (t) => {
  for (const engine of everyEngine) await t.test(`by ${engine}`, (t) => readSlowly(t, engine));
});
