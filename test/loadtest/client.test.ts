/** The load client against servers that answer well and badly: a benchmark must not count what is wrong. @module */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { compileClient, type Load, type LoadResult, runLoad } from '../../loadtest/client/load.ts';

const size = 10_000;
const regionBytes = 2 ** 20;
const skip = spawnSync('cc', ['--version']).error ? 'no C compiler' : false;
if (skip) console.warn(`*** the load client is NOT tested: ${skip}`);

describe('the load client', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pagerelay-client-'));
  let client = '';
  before(async () => {
    client = await compileClient(folder);
  });
  after(() => rmSync(folder, { recursive: true }));

  async function load(scope: TestContext, answer: RequestListener, more: Partial<Load> = {}): Promise<LoadResult> {
    const server = createServer(answer).listen(0, '127.0.0.1');
    await once(server, 'listening');
    scope.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const wanted = { port, path: '/r', connections: 3, size, regionBytes, seconds: 0.2, seed: 1, ...more };
    return runLoad([client], wanted, new AbortController().signal);
  }

  const good: RequestListener = (_request, response) => {
    response.writeHead(206, { 'content-length': size }).end(Buffer.alloc(size));
  };

  test('counts right answers and their bytes', async (scope) => {
    const result = await load(scope, good);
    assert.equal(result.errors, 0);
    assert.ok(result.requests > 3);
    assert.equal(result.bytes, result.requests * size);
    assert.ok(result.p50 > 0 && result.p50 <= result.p99 && result.p99 <= result.max);
  });

  test('asks for ranges of the size, at pages, inside the region, and for others next time', async (scope) => {
    const asked = new Set<string>();
    await load(scope, (request, response) => {
      asked.add(request.headers.range ?? '');
      good(request, response);
    });
    assert.ok(asked.size > 10);
    for (const range of asked) {
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range)?.map(Number) ?? [];
      assert.ok(first !== undefined && last !== undefined, range);
      assert.equal(last - first + 1, size);
      assert.equal(first % 4096, 0);
      assert.ok(last < regionBytes);
    }
  });

  test('takes an answer that comes in pieces', async (scope) => {
    const result = await load(scope, (_request, response) => {
      response.writeHead(206, { 'content-length': size }).flushHeaders();
      setTimeout(() => response.write(Buffer.alloc(1)), 5);
      setTimeout(() => response.end(Buffer.alloc(size - 1)), 10);
    });
    assert.equal(result.errors, 0);
    assert.ok(result.requests >= 3);
    assert.ok(result.p50 >= 10_000);
  });

  const wrong: [string, RequestListener, RegExp][] = [
    [
      'another status',
      (_, response) => response.writeHead(200, { 'content-length': size }).end(Buffer.alloc(size)),
      /status \(200\)/,
    ],
    [
      'another length',
      (_, response) => response.writeHead(206, { 'content-length': 5 }).end('12345'),
      /Content-Length \(5\)/,
    ],
    ['no length', (_, response) => response.writeHead(206).end(Buffer.alloc(size)), /Content-Length/],
    [
      'a body that ends short',
      (_, response) => {
        response.writeHead(206, { 'content-length': size }).write('short', () => response.destroy());
      },
      /ended early/,
    ],
    [
      'a longer body',
      ({ socket }) => {
        socket.write(`HTTP/1.1 206 P\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size + 1)}`);
      },
      /no HTTP/,
    ],
    ['no HTTP', (_, { socket }) => void socket?.write('SSH-2.0-x\r\n\r\n'), /no HTTP/],
  ];
  for (const [what, answer, expected] of wrong) {
    test(`reports ${what} as an error`, async (scope) => {
      const result = await load(scope, answer);
      assert.ok(result.errors >= 1);
      assert.match(result.firstError ?? '', expected);
    });
  }

  test('keeps a rate, and counts latency from when a request was due', async (scope) => {
    let stalls = 1;
    const result = await load(
      scope,
      (request, response) => {
        const wait = stalls-- > 0 ? 300 : 0;
        setTimeout(() => good(request, response), wait);
      },
      { connections: 1, rate: 100, seconds: 1 },
    );
    assert.equal(result.errors, 0);
    assert.equal(result.requests + result.missed, 100);
    assert.equal(result.missed, 0);
    // One slow answer, but 30 more requests were due meanwhile: theirs were late too.
    assert.ok(result.p99 > 250_000, `p99 ${result.p99}`);
    assert.ok(result.max >= 300_000);
  });
});
