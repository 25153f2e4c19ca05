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
import { type CClient, compileClient, connectC, runC } from '../../loadtest/clients/c.ts';
import type { Asked, Job } from '../../loadtest/clients/job.ts';
import { addLatencies, percentile } from '../../loadtest/clients/latency.ts';
import type { ClientResult } from '../../loadtest/clients/tally.ts';

const size = 10_000;
const regionBytes = 2 ** 20;
const skip = spawnSync('cc', ['--version']).error ? 'no C compiler' : false;
if (skip) console.warn(`*** the load client is NOT tested: ${skip}`);

describe('the load client', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pagerelay-client-'));
  const client: CClient = { command: [join(folder, 'discard')], folder };
  before(async () => void (await compileClient(folder)));
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

  type More = Partial<Job> & { readonly asked?: Partial<Asked> };

  const wanted = (port: number, { asked, ...more }: More): Job => ({
    ...{ client: 'c', origin: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}`, path: '/r', regionBytes },
    ...{ seconds: 0.5, most: 1e9, seed: 1, headers: {}, tokens: [], etags: [], reference: undefined, checkEvery: 1 },
    scenario: { pattern: 'random', size, connections: 3, ...asked },
    ...more,
  });

  const never = new AbortController().signal;
  const microseconds = ({ latency }: ClientResult, of100: number) => percentile(addLatencies([latency]), of100);

  /** Ends by the count, however slow the machine is. */
  const counted = (most: number) => ({ most, seconds: 10 });

  async function load(scope: TestContext, answer: RequestListener, more: More = {}): Promise<ClientResult> {
    const { port } = await serve(scope, answer);
    return runC(client, wanted(port, more), never, more.reference !== undefined);
  }

  const good: RequestListener = (_request, response) => {
    response.writeHead(206, { 'content-length': size }).end(Buffer.alloc(size));
  };

  test('counts right answers and their bytes', async (scope) => {
    const result = await load(scope, good, counted(30));
    assert.deepEqual([result.faultCount, result.requests], [0, 30]);
    assert.equal(result.bytes, result.requests * size);
    assert.deepEqual([result.statuses, result.method, result.client], [{ 206: 30 }, 'GET', 'c']);
    assert.ok(microseconds(result, 50) > 0 && microseconds(result, 50) <= microseconds(result, 99));
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
    assert.deepEqual([result.faultCount, result.requests], [0, 9]);
    assert.ok(microseconds(result, 50) >= 8000); // Node's timers count whole milliseconds.
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
      assert.ok(result.faultCount >= 1);
      assert.match(result.faults[0]?.detail ?? '', expected);
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
    assert.deepEqual(result.faults, []);
  });

  test('asks for the whole of a region without a Range, and expects 200', async (scope) => {
    const ranges = new Set<string | undefined>();
    const answer: RequestListener = (request, response) => {
      ranges.add(request.headers.range);
      response.writeHead(200, { 'content-length': size }).end(Buffer.alloc(size));
    };
    const whole = { regionBytes: size, asked: { pattern: 'whole' } } as const;
    assert.deepEqual((await load(scope, answer, whole)).faults, []);
    assert.deepEqual([...ranges], [undefined]);
    assert.match((await load(scope, good, whole)).faults[0]?.detail ?? '', /status \(206\)/);
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
    const asks = wanted(port, { ...counted(30), asked: { kept: 'dropped' } });
    const result = await runC(client, asks, never);
    assert.deepEqual([result.faultCount, result.requests], [0, 30]);
    assert.deepEqual([asked, sockets], [30, 30]);
    assert.ok(from.size > 1);
    for (const address of from) assert.match(address, /^127\.0\.0\.\d+$/);
  });

  test('announces the end of a connection with its last request, and makes as many connections as that takes', async (scope) => {
    const announced: boolean[] = [];
    let sockets = 0;
    const { server, port } = await serve(scope, (request, response) => {
      announced.push(request.headers.connection === 'close');
      good(request, response);
    });
    server.on('connection', () => sockets++);
    const asks = wanted(port, { ...counted(30), asked: { kept: 10, connections: 1 } });
    assert.deepEqual((await runC(client, asks, never)).faults, []);
    assert.deepEqual([sockets, announced.filter(Boolean).length, announced.indexOf(true)], [3, 3, 9]);
  });

  test('speaks HTTP/1.0, and takes what a server of it answers', async (scope) => {
    const versions = new Set<string>();
    const answer: RequestListener = (request, response) => {
      versions.add(request.httpVersion);
      good(request, response);
    };
    const result = await load(scope, answer, { ...counted(20), asked: { kept: 'HTTP/1.0' } });
    assert.deepEqual([result.faults, result.requests, [...versions]], [[], 20, ['1.0']]);
  });

  test('gives each request a field of its own, also when it begins its requests anew', async (scope) => {
    const ids = new Set<string | string[] | undefined>();
    const answer: RequestListener = (request, response) => {
      ids.add(request.headers['x-request-id']);
      response.writeHead(200, { 'content-length': size }).end(Buffer.alloc(size));
    };
    // Of a whole region there is one request, which is sent again and again.
    const whole = { regionBytes: size, asked: { pattern: 'whole', fields: 'own' } } as const;
    const result = await load(scope, answer, { ...counted(50), ...whole });
    assert.deepEqual([result.faults, result.requests, ids.size], [[], 50, 50]);
    for (const id of ids) assert.match(String(id), /^[0-9a-f]{32}$/);
  });

  test('asks for many regions, by HEAD, and with conditions; none of these has a body', async (scope) => {
    const asked = new Set<string>();
    const answer: RequestListener = ({ method, url, headers }, response) => {
      asked.add(`${method} ${url} ${headers['if-none-match']}`);
      if (method === 'GET') return void response.writeHead(304).end();
      response.writeHead(200, { 'content-length': regionBytes }).end();
    };
    const regions = { count: 3, pick: 'turn' } as const;
    const head = { path: '/r-*', asked: { pattern: 'whole', method: 'HEAD', regions } } as const;
    const result = await load(scope, answer, { ...counted(9), ...head });
    assert.deepEqual([result.faults, result.bytes, result.statuses, result.method], [[], 0, { 200: 9 }, 'HEAD']);
    const etags = ['"0"', '"1"', '"2"'];
    const conditional = { path: '/r-*', etags, asked: { pattern: 'whole', conditional: true, regions } } as const;
    const fresh = await load(scope, answer, { ...counted(9), ...conditional });
    assert.deepEqual([fresh.faults, fresh.bytes, fresh.statuses], [[], 0, { 304: 9 }]);
    for (const at of [0, 1, 2]) {
      assert.ok(asked.has(`HEAD /r-0000${at} undefined`) && asked.has(`GET /r-0000${at} "${at}"`), [...asked].join());
    }
  });

  test('connects to a unix socket, where bodies are read and thrown away', async (scope) => {
    const socketPath = join(folder, 'socket');
    const server = createServer(good).listen(socketPath);
    await once(server, 'listening');
    scope.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const result = await runC(client, wanted(1, { ...counted(30), socketPath }), never);
    assert.deepEqual([result.faults, result.requests, result.bytes], [[], 30, 30 * size]);
  });

  const file = join(folder, 'region.bin');
  const reference = { kind: 'file', path: file } as const;
  const content = Buffer.from(Array.from({ length: regionBytes }, (_, at) => (at * 7 + (at >> 8)) % 256));

  function rangesOf(bytes: Buffer): RequestListener {
    return (request, response) => {
      const [, first] = /^bytes=(\d+)-/.exec(request.headers.range ?? '') ?? [];
      response.writeHead(206, { 'content-length': size }).end(bytes.subarray(Number(first), Number(first) + size));
    };
  }

  test('compares bodies with a file when it is told to', async (scope) => {
    writeFileSync(file, content);
    const result = await load(scope, rangesOf(content), { reference, ...counted(30) });
    assert.deepEqual([result.faults, result.requests, result.checked.bodies], [[], 30, 30]);
  });

  test('finds one wrong byte', async (scope) => {
    writeFileSync(file, content);
    const wrong = Buffer.from(content);
    for (let at = size - 1; at < wrong.length; at += size) wrong.writeUInt8(wrong.readUInt8(at) ^ 1, at);
    const result = await load(scope, rangesOf(wrong), { reference });
    assert.equal(result.faults[0]?.kind, 'wrong-bytes');
    assert.match(result.faults[0]?.detail ?? '', /a wrong byte in a body/);
  });

  test('ends after so many requests', async (scope) => {
    assert.equal((await load(scope, good, { most: 7 })).requests, 7);
  });

  test('keeps its connections when all is answered, and notices one that the server ends', async (scope) => {
    const { server, port } = await serve(scope, good);
    const asks = wanted(port, { most: 3 });
    const kept = await connectC(client, asks, never);
    assert.equal((await kept.go()).requests, 3);
    await kept.end();
    const cut = await connectC(client, asks, never);
    assert.equal((await cut.go()).faultCount, 0);
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
    await assert.rejects(connectC(client, wanted(port, {}), never), /Connection refused/);
  });

  test('keeps a rate, and counts latency from when a request was due', async (scope) => {
    let stalls = 1;
    const result = await load(
      scope,
      (request, response) => {
        const wait = stalls-- > 0 ? 300 : 0;
        setTimeout(() => good(request, response), wait);
      },
      { seconds: 1, asked: { connections: 1, rate: 100 } },
    );
    assert.deepEqual(result.faults, []);
    assert.equal(result.requests + result.missed, 100);
    // One slow answer, but 30 more requests were due meanwhile: theirs were late too.
    assert.ok(microseconds(result, 99) > 250_000, `p99 ${microseconds(result, 99)}`);
    // Node's timers count whole milliseconds, from a time that may be a little old: 300 ms can be 299.
    assert.ok(microseconds(result, 100) > 290_000, `longest ${microseconds(result, 100)}`);
  });
});
