/** The bodies of PUT: how they come, what they are checked by, and what is left of those that end early. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, fstatSync, readFileSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { connectionsOf, untilReturned, warmUp } from '../../support/holds.ts';
import { until } from '../../support/poll.ts';
import { originOf, start, startCli } from '../../support/process.ts';
import { RawClient } from '../../support/raw.ts';
import { seededBytes, sha256, sha256OfFile } from '../../support/regions.ts';
import { ask, askForRange, change } from '../../support/requests.ts';
import { makeDice } from '../../support/traffic.ts';
import { fileIn, kept, makeTree, put, refusalIn, send, startWritable, type Writable } from '../../support/writable.ts';

const mebibyte = 1 << 20;
const path = '/regions/file.bin';
const host = 'Host: localhost\r\n';
const old = seededBytes(100_000, 1);
const body = seededBytes(3 * mebibyte + 17, 2);

function digestOf(bytes: Uint8Array, algorithm: 'sha-256' | 'sha-512'): string {
  return `${algorithm}=:${createHash(algorithm.replace('-', '')).update(bytes).digest('base64')}:`;
}

function chunk(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

/** A head, and then whatever is given. */
function begin(client: RawClient, framing: string, bytes: Uint8Array): void {
  client.write(`PUT ${path} HTTP/1.1\r\n${host}${framing}\r\n`);
  client.socket.write(bytes);
}

async function withOldContent(t: TestContext, place: 'tmpfs' | 'ext4' = 'tmpfs', maxBytes?: number): Promise<Writable> {
  const running = await startWritable(t, place, { maxBytes });
  await put(t, running, 'file.bin', old);
  return running;
}

async function checkUntouched(running: Writable): Promise<void> {
  await until(() => kept(running, 'tmp').length === 0, 'nothing is left of the body');
  assert.ok(fileIn(running, 'file.bin').equals(old), 'the old content is there');
}

test('a chunked body, with extensions and trailers, is taken byte for byte', async (t) => {
  const running = await startWritable(t);
  const client = await RawClient.connect(t, running.port);
  const pieces = [body.subarray(0, 1), body.subarray(1, 70_000), body.subarray(70_000)].map(chunk);
  begin(
    client,
    'Transfer-Encoding: chunked\r\n',
    Buffer.concat([...pieces, Buffer.from('0;x=y\r\nDigest: no\r\n\r\n')]),
  );
  ask(client, { method: 'GET', path });
  assert.equal((await client.response()).status, 201);
  assert.equal(sha256((await client.response()).body), sha256(body));
});

test('bodies of several connections that come in pieces by turns are taken byte for byte, and the requests behind them', async (t) => {
  const running = await startWritable(t);
  const parts = Array.from({ length: 4 }, (_, at) => seededBytes(100_000 + at, 10 + at));
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  await put(t, running, 'file.bin', seededBytes(size, 1));
  const clients = await Promise.all(parts.map(() => RawClient.connect(t, running.port)));
  const firsts = parts.map((_, at) => parts.slice(0, at).reduce((sum, { length }) => sum + length, 0));
  const streams = parts.map((part, at) => {
    const first = firsts[at] ?? 0;
    const range = `bytes ${first}-${first + part.length - 1}/*`;
    const head = `PUT ${path} HTTP/1.1\r\n${host}Content-Range: ${range}\r\nContent-Length: ${part.length}\r\n\r\n`;
    const behind = `GET ${path} HTTP/1.1\r\n${host}Range: bytes=${range.slice(6, -2)}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head), part, Buffer.from(behind)]);
  });
  // Pieces end in heads, in bodies, and at their borders.
  const dice = makeDice(7);
  for (const { socket } of clients) socket.setNoDelay(true);
  const sent = streams.map(() => 0);
  while (streams.some(({ length }, at) => (sent[at] ?? 0) < length)) {
    const at = dice(streams.length);
    const [from, stream] = [sent[at] ?? 0, streams[at] ?? assert.fail()];
    const to = Math.min(stream.length, from + 1 + dice(from === 0 ? 200 : 30_000));
    clients[at]?.socket.write(stream.subarray(from, to));
    sent[at] = to;
    await turn();
  }
  for (const [at, client] of clients.entries()) {
    assert.equal((await client.response()).status, 204);
    const { status, body } = await client.response();
    assert.equal(status, 206);
    assert.equal(sha256(body), sha256(parts[at] ?? assert.fail()));
  }
  assert.ok(fileIn(running, 'file.bin').equals(Buffer.concat(parts)));
});

/** A service that writes nothing of a body before it is released, and a client of it. */
async function withHeldWrites(t: TestContext) {
  const held = Promise.withResolvers<void>();
  t.after(() => held.resolve());
  const running = await startWritable(t);
  const { files } = running.service.writer?.store.relay ?? assert.fail('it is writable');
  const { mock } = t.mock.method(files, 'write', async (...written: Parameters<typeof files.write>) => {
    await held.promise;
    mock.restore();
    return files.write(...written);
  });
  const sockets: Socket[] = [];
  running.service.app.server.on('connection', (socket: Socket) => sockets.push(socket));
  const client = await RawClient.connect(t, running.port);
  client.socket.setNoDelay(true);
  begin(client, 'Transfer-Encoding: chunked\r\n', chunk(seededBytes(1000, 3)));
  await until(() => mock.callCount() > 0, 'the first chunk is being written');
  return {
    running,
    client,
    bytesRead: () => sockets.reduce((sum, each) => sum + each.bytesRead, 0),
    release: held.resolve,
  };
}

async function turns(count: number): Promise<void> {
  for (let at = 0; at < count; at++) await turn();
}

test('a chunked body that comes faster than it is written is not read on', async (t) => {
  const { running, client, bytesRead, release } = await withHeldWrites(t);
  const piece = seededBytes(mebibyte, 4);
  const pieces = 48;
  for (let at = 0; at < pieces; at++) client.socket.write(chunk(piece));
  const most = 2 * mebibyte;
  // Until no more is read, or too much was.
  for (let before = -1; before !== bytesRead() && before <= most; await turns(500)) before = bytesRead();
  assert.ok(bytesRead() <= most, `${bytesRead()} bytes were read`);
  release();
  client.write('0\r\n\r\n');
  askForRange(client, path, '-1000');
  assert.equal((await client.response()).status, 201);
  assert.ok((await client.response()).body.equals(piece.subarray(-1000)));
  assert.equal(fileIn(running, 'file.bin').length, 1000 + pieces * mebibyte);
});

test('chunks that end like a head are taken in their order, however late they are written', async (t) => {
  const { running, client, release } = await withHeldWrites(t);
  const parts = Array.from({ length: 20 }, (_, at) => Buffer.concat([seededBytes(20_000, at), Buffer.from('\r\n')]));
  for (const part of parts) {
    const bytes = chunk(part);
    client.socket.write(bytes.subarray(0, 1000));
    await turns(20);
    client.socket.write(bytes.subarray(1000));
    await turns(20);
  }
  client.write('0\r\n\r\n');
  ask(client, { method: 'GET', path });
  await turns(20);
  release();
  assert.equal((await client.response()).status, 201);
  const { status, body } = await client.response();
  assert.equal(status, 200);
  const sent = Buffer.concat([seededBytes(1000, 3), ...parts]);
  assert.ok(body.equals(sent), 'the request behind it is answered with the body');
  assert.ok(fileIn(running, 'file.bin').equals(sent), 'the body is in the file');
});

test('PUT without a body makes an empty region', async (t) => {
  const running = await startWritable(t);
  const client = await RawClient.connect(t, running.port);
  for (const framing of ['', 'Content-Length: 0\r\n', 'Content-Type: text/plain\r\n']) {
    begin(client, framing, Buffer.alloc(0));
    assert.ok([201, 204].includes((await client.response()).status), framing);
    assert.equal(fileIn(running, 'file.bin').length, 0);
  }
});

const framings = {
  'Content-Length': (bytes: Uint8Array) => [`Content-Length: ${bytes.length}\r\n`, Buffer.from(bytes)] as const,
  chunks: (bytes: Uint8Array) =>
    ['Transfer-Encoding: chunked\r\n', Buffer.concat([chunk(bytes), chunk(Buffer.alloc(0))])] as const,
};

for (const [framed, frame] of Object.entries(framings)) {
  for (const leave of ['reset', 'end'] as const) {
    test(`a client that leaves by ${leave} in a body of ${framed} leaves nothing`, async (t) => {
      const running = await withOldContent(t);
      const before = await warmUp(t, running, 'file.bin');
      const [framing, bytes] = frame(body);
      for (const share of [0, 0.5, 0.99]) {
        const client = await RawClient.connect(t, running.port);
        begin(client, framing, bytes.subarray(0, Math.floor(share * bytes.length)));
        await until(() => kept(running, 'tmp').length === 1, 'it is received');
        client[leave]();
        await checkUntouched(running);
        client.destroy();
      }
      await until(async () => (await connectionsOf(running)) === 0, 'no connection is left');
      await untilReturned(running, before);
      assert.equal(running.service.writer?.store.quota.used, old.length);
    });
  }
}

test('the file of a body that is cut off stays open until the write to it that is under way has ended', async (t) => {
  const running = await withOldContent(t);
  const { files } = running.service.writer?.store.relay ?? assert.fail('it is writable');
  const write = files.write.bind(files);
  const [began, goOn] = [Promise.withResolvers<number>(), Promise.withResolvers<void>()];
  t.after(() => goOn.resolve());
  t.mock.method(files, 'write', async (fd: number, bytes: Uint8Array, offset: number) => {
    began.resolve(fd);
    await goOn.promise;
    return write(fd, bytes, offset);
  });
  const client = await RawClient.connect(t, running.port);
  begin(client, `Content-Length: ${body.length}\r\n`, body.subarray(0, 1000));
  const descriptor = await began.promise;
  const before = inodeOf(descriptor);
  client.reset();
  await until(async () => (await connectionsOf(running)) === 0, 'the connection is gone');
  assert.equal(inodeOf(descriptor), before, 'it is still the same file');
  goOn.resolve();
  await checkUntouched(running);
  assert.notEqual(inodeOf(descriptor), before, 'it is closed then');
});

test('a body that is cut off while room is made for it is written to no other file then', async (t) => {
  const running = await withOldContent(t);
  const { relay, room } = running.service.writer?.store ?? assert.fail('it is writable');
  const write = relay.files.write.bind(relay.files);
  const [isFull, made] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  t.after(() => made.resolve());
  const inodes: (number | undefined)[] = [];
  t.mock.method(relay.files, 'write', (fd: number, bytes: Uint8Array, offset: number) => {
    inodes.push(inodeOf(fd));
    isFull.resolve();
    return write(fd, bytes, offset);
  });
  t.mock.method(room, 'take', async (act: () => Promise<void>) => {
    await act();
    await made.promise;
    await act();
  });
  const client = await RawClient.connect(t, running.port);
  begin(client, `Content-Length: ${body.length}\r\n`, body.subarray(0, 1000));
  await isFull.promise;
  client.reset();
  await until(async () => (await connectionsOf(running)) === 0, 'the connection is gone');
  made.resolve();
  await checkUntouched(running);
  assert.equal(inodes.length, 2);
  assert.notEqual(inodes[0], undefined);
  assert.equal(inodes[1], inodes[0], 'the second try is for the same file');
});

/** Of the file that a descriptor is of; undefined where it is closed. */
function inodeOf(descriptor: number): number | undefined {
  try {
    return fstatSync(descriptor).ino;
  } catch {
    return undefined;
  }
}

for (const field of ['content-digest', 'repr-digest']) {
  test(`${field} is checked by SHA-256 and SHA-512`, async (t) => {
    const running = await withOldContent(t, 'ext4');
    const putWith = (digest: string) => send(t, running, { method: 'PUT', path, fields: { [field]: digest }, body });
    for (const algorithm of ['sha-256', 'sha-512'] as const) {
      const wrong = digestOf(old, algorithm);
      for (const given of [wrong, `${digestOf(body, 'sha-256')}, ${digestOf(old, 'sha-512')}`]) {
        assert.deepEqual(refusalIn(await putWith(given)), [400, 'digest-mismatch'], given);
        await checkUntouched(running);
      }
      for (const given of [`${algorithm}=abc`, `${algorithm}=:AAAA:`, `${algorithm}`, `${algorithm}=:`, '=']) {
        assert.deepEqual(refusalIn(await putWith(given)), [400, 'digest-malformed'], given);
        await checkUntouched(running);
      }
    }
    for (const given of ['md5=:AAAA:', `${digestOf(body, 'sha-256')},${digestOf(body, 'sha-512')}`]) {
      assert.equal((await putWith(given)).status, 204, given);
      assert.equal(sha256(fileIn(running, 'file.bin')), sha256(body));
    }
  });
}

test('a body that breaks the quota is 507, and the connection goes on', async (t) => {
  const running = await withOldContent(t, 'tmpfs', 2 * mebibyte);
  for (const frame of Object.values(framings)) {
    const client = await RawClient.connect(t, running.port);
    const [framing, bytes] = frame(Buffer.concat(Array<Buffer>(6).fill(body)));
    begin(client, framing, bytes);
    ask(client, { method: 'GET', path });
    assert.deepEqual(refusalIn(await client.response()), [507, 'no-space']);
    assert.equal(sha256((await client.response()).body), sha256(old));
    await checkUntouched(running);
    client.destroy();
  }
  assert.equal(running.service.writer?.store.quota.used, old.length);
  const fits = seededBytes(mebibyte, 3);
  await put(t, running, 'file.bin', fits);
  assert.equal(running.service.writer?.store.quota.used, mebibyte, 'what is replaced does not count any more');
});

test('100 Continue comes when the body is wanted, and only then', async (t) => {
  const running = await withOldContent(t);
  const expects = async (method: string, address: string, fields: string) => {
    const client = await RawClient.connect(t, running.port);
    client.write(`${method} ${address} HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: 5\r\n${fields}\r\n`);
    return { client, first: await client.response() };
  };
  const refused = [
    ['PUT', path, 'If-None-Match: *\r\n', 412],
    ['PUT', path, 'If-Match: "other"\r\n', 412],
    ['PUT', path, 'Content-Encoding: gzip\r\n', 415],
    ['PUT', path, 'Content-Type: none\r\n', 400],
    ['PUT', path, 'Content-Digest: sha-256=1\r\n', 400],
    ['PUT', path, 'Content-Range: bytes 0-5/*\r\n', 400],
    ['PUT', path, 'Content-Range: bytes 99999999-100000003/*\r\n', 416],
    ['PUT', '/regions/none', 'Content-Range: bytes 0-4/*\r\n', 404],
    ['PUT', '/regions/.pagerelay/none', '', 400],
    ['PATCH', path, 'Content-Type: application/json\r\n', 415],
    ['PATCH', path, 'Content-Type: application/merge-patch+json\r\nIf-Match: "other"\r\n', 412],
    ['POST', path, '', 405],
  ] as const;
  for (const [method, address, fields, status] of refused) {
    const { client, first } = await expects(method, address, fields);
    assert.equal(first.status, status, `${method} ${address} ${fields}`);
    client.destroy();
  }
  await checkUntouched(running);
  const { client, first } = await expects('PUT', path, '');
  assert.equal(first.status, 100);
  client.write('abcde');
  assert.equal((await client.response()).status, 204);
  assert.equal(fileIn(running, 'file.bin').toString(), 'abcde');
  client.destroy();
});

test('a large body does not go through memory as a whole', async (t) => {
  const { dir, scope } = makeTree(t, 'tmpfs');
  const child = startCli(scope, ['serve', '--dir', dir, '--writable', '--port', '0', '--log-level', 'error']);
  const port = Number(new URL(await originOf(child)).port);
  const memory = () => {
    const status = readFileSync(`/proc/${child.process.pid}/status`, 'latin1');
    return 1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? assert.fail());
  };
  const client = await RawClient.connect(scope, port);
  assert.equal((await change(client, { method: 'PUT', path, body: seededBytes(mebibyte, 4) })).status, 201);
  const before = memory();
  let most = 0;
  const sampler = setInterval(() => {
    most = Math.max(most, memory() - before);
  }, 5);
  scope.after(() => clearInterval(sampler));
  const large = seededBytes(128 * mebibyte, 5);
  assert.equal((await change(client, { method: 'PUT', path, body: large })).status, 204);
  clearInterval(sampler);
  client.destroy();
  assert.equal(sha256OfFile(join(dir, 'file.bin'), 0, large.length - 1), sha256(large));
  // Chunks that were written wait for a garbage collection, however large the body.
  assert.ok(most < 96 * mebibyte, `it grew by ${most} bytes`);
});

test('curl uploads a file, and a part of one', async (t) => {
  const running = await startWritable(t);
  const file = join(running.dir, '.upload');
  writeFileSync(file, body);
  const url = `http://127.0.0.1:${running.port}${path}`;
  const curl = async (...args: string[]) => {
    const child = start(t, 'curl', ['-q', '-sS', '-w', '%{http_code}', '-o', '-', ...args, url], { no_proxy: '*' });
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
    return child.stdout();
  };
  assert.equal(await curl('-T', file, '-H', 'Expect: 100-continue'), '201');
  assert.equal(sha256(fileIn(running, 'file.bin')), sha256(body));
  assert.match(await curl('-T', file, '-H', 'If-None-Match: *'), /412$/);
  writeFileSync(file, 'part');
  assert.equal(await curl('-T', file, '-H', 'Content-Range: bytes 1000-1003/*'), '204');
  assert.equal(fileIn(running, 'file.bin').toString('latin1', 1000, 1004), 'part');
  assert.equal(await curl('-X', 'DELETE'), '204');
  assert.ok(!existsSync(join(running.dir, 'file.bin')));
});
