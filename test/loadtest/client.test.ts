/** The load client against servers that answer well and badly: a benchmark must not count what is wrong. @module */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { compileClient, connectClient, type Load, type LoadResult, runLoad } from '../../loadtest/client/load.ts';

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

  async function serve(scope: TestContext, answer: RequestListener) {
    const server = createServer(answer).listen(0, '127.0.0.1');
    await once(server, 'listening');
    scope.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return { server, port: (server.address() as AddressInfo).port };
  }

  const wanted = (port: number, more: Partial<Load>): Load => {
    return { port, path: '/r', connections: 3, size, regionBytes, seconds: 0.5, seed: 1, ...more };
  };

  /** Ends by the count, however slow the machine is. */
  const counted = (count: number) => ({ count, seconds: 10 });

  async function load(scope: TestContext, answer: RequestListener, more: Partial<Load> = {}): Promise<LoadResult> {
    const { port } = await serve(scope, answer);
    return runLoad([client], wanted(port, more), new AbortController().signal);
  }

  const good: RequestListener = (_request, response) => {
    response.writeHead(206, { 'content-length': size }).end(Buffer.alloc(size));
  };

  test('counts right answers and their bytes', async (scope) => {
    const result = await load(scope, good, counted(30));
    assert.deepEqual([result.errors, result.requests], [0, 30]);
    assert.equal(result.bytes, result.requests * size);
    assert.ok(result.p50 > 0 && result.p50 <= result.p99 && result.p99 <= result.max);
  });

  test('asks for ranges of the size, at pages, inside the region, and for others next time', async (scope) => {
    const asked = new Set<string>();
    const answer: RequestListener = (request, response) => {
      asked.add(request.headers.range ?? '');
      good(request, response);
    };
    await load(scope, answer, counted(30));
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
    const answer: RequestListener = (_request, response) => {
      response.writeHead(206, { 'content-length': size }).flushHeaders();
      // One after the other: of two timers that are both late, Node may call the later one first.
      setTimeout(() => {
        response.write(Buffer.alloc(1));
        setTimeout(() => response.end(Buffer.alloc(size - 1)), 5);
      }, 5);
    };
    const result = await load(scope, answer, counted(9));
    assert.deepEqual([result.errors, result.requests], [0, 9]);
    assert.ok(result.p50 >= 8000); // Node's timers count whole milliseconds.
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
    [
      'a Content-Range that is not the one asked for',
      (_, response) => {
        const fields = { 'content-length': size, 'content-range': `bytes 1-${size}/${regionBytes}` };
        response.writeHead(206, fields).end(Buffer.alloc(size));
      },
      /another range \(1\)/,
    ],
    [
      'bytes after the last answer',
      ({ socket }) => {
        // In one write: of two, the second may come when the client has told its result.
        socket.write(`HTTP/1.1 206 P\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}HTTP/1.1 206`);
      },
      /no HTTP|came on it|more bytes|no answer/,
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

  test('takes fields in any order and any case', async (scope) => {
    const result = await load(scope, (request, response) => {
      const [, first] = /^bytes=(\d+)-/.exec(request.headers.range ?? '') ?? [];
      response.setHeader('X-First', 'content-length: 3');
      response.setHeader('content-RANGE', `bytes ${first}-${Number(first) + size - 1}/${regionBytes}`);
      response.setHeader('CONTENT-length', size);
      response.writeHead(206).end(Buffer.alloc(size));
    });
    assert.deepEqual([result.errors, result.firstError], [0, null]);
  });

  test('asks for the whole of a region without a Range, and expects 200', async (scope) => {
    const ranges = new Set<string | undefined>();
    const answer: RequestListener = (request, response) => {
      ranges.add(request.headers.range);
      response.writeHead(200, { 'content-length': size }).end(Buffer.alloc(size));
    };
    const result = await load(scope, answer, { regionBytes: size });
    assert.equal(result.errors, 0);
    assert.deepEqual([...ranges], [undefined]);
    assert.match((await load(scope, good, { regionBytes: size })).firstError ?? '', /status \(206\)/);
  });

  test('makes a new connection for each request, from many addresses, and closes it', async (scope) => {
    const from = new Set<string>();
    let sockets = 0;
    let asked = 0;
    const { server, port } = await serve(scope, (request, response) => {
      asked++;
      from.add(request.socket.remoteAddress ?? '');
      good(request, response);
    });
    server.on('connection', () => sockets++);
    const asks = wanted(port, { fresh: true, ...counted(30) });
    const result = await runLoad([client], asks, new AbortController().signal);
    assert.deepEqual([result.errors, result.requests], [0, 30]);
    assert.deepEqual([asked, sockets], [30, 30]);
    assert.ok(from.size > 1);
    for (const address of from) assert.match(address, /^127\.0\.0\.\d+$/);
  });

  const file = join(folder, 'region.bin');
  const content = Buffer.from(Array.from({ length: regionBytes }, (_, at) => (at * 7 + (at >> 8)) % 256));

  function rangesOf(bytes: Buffer): RequestListener {
    return (request, response) => {
      const [, first] = /^bytes=(\d+)-/.exec(request.headers.range ?? '') ?? [];
      response.writeHead(206, { 'content-length': size }).end(bytes.subarray(Number(first), Number(first) + size));
    };
  }

  test('compares bodies with a file when it is told to', async (scope) => {
    writeFileSync(file, content);
    const result = await load(scope, rangesOf(content), { verify: file, ...counted(30) });
    assert.deepEqual([result.errors, result.firstError, result.requests], [0, null, 30]);
  });

  test('finds one wrong byte', async (scope) => {
    writeFileSync(file, content);
    const wrong = Buffer.from(content);
    for (let at = size - 1; at < wrong.length; at += size) wrong.writeUInt8(wrong.readUInt8(at) ^ 1, at);
    const result = await load(scope, rangesOf(wrong), { verify: file });
    assert.ok(result.errors >= 1);
    assert.match(result.firstError ?? '', /a wrong byte in a body/);
  });

  test('ends after so many requests', async (scope) => {
    assert.equal((await load(scope, good, { count: 7 })).requests, 7);
  });

  test('keeps its connections when all is answered, and notices one that the server ends', async (scope) => {
    const { server, port } = await serve(scope, good);
    const asks = wanted(port, { count: 3 });
    const kept = await connectClient([client], asks, new AbortController().signal);
    assert.equal((await kept.go()).requests, 3);
    await kept.end();
    const cut = await connectClient([client], asks, new AbortController().signal);
    assert.equal((await cut.go()).errors, 0);
    server.closeAllConnections();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await assert.rejects(cut.end(), /ended connections/);
  });

  test('says that nobody listens', async () => {
    const { port } = await new Promise<AddressInfo>((resolve) => {
      const probe = createServer().listen(0, '127.0.0.1', () => {
        const address = probe.address() as AddressInfo;
        probe.close(() => resolve(address));
      });
    });
    await assert.rejects(connectClient([client], wanted(port, {}), new AbortController().signal), /Connection refused/);
  });

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
    // One slow answer, but 30 more requests were due meanwhile: theirs were late too.
    assert.ok(result.p99 > 250_000, `p99 ${result.p99}`);
    // Node's timers count whole milliseconds, from a time that may be a little old: 300 ms can be 299.
    assert.ok(result.max > 290_000, `longest ${result.max}`);
  });
});
