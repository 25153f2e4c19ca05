/** PUT with Content-Range (RFC 9110 14.5): bytes that are overwritten in place. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../../src/relay/relay.ts';
import { everyEngine } from '../../support/engines.ts';
import { until } from '../../support/poll.ts';
import { RawClient } from '../../support/raw.ts';
import { makeFolder, type Place, seededBytes, sha256, writeRegion } from '../../support/regions.ts';
import { ask, type Change, change, overwriting } from '../../support/requests.ts';
import { startService } from '../../support/service.ts';
import { externalChangesIn, fileIn, kept, put, read, refusalIn, send, startWritable } from '../../support/writable.ts';

// Some whole pages, and a bit.
const size = 300_123;
const path = '/regions/file.bin';
const places: readonly Place[] = ['tmpfs', 'ext4'];

/** Ranges by what is special about them: first, length. */
const ranges: Readonly<Record<string, readonly [number, number]>> = {
  'a byte': [5, 1],
  'the first byte': [0, 1],
  'the last byte': [size - 1, 1],
  'a whole page': [8192, 4096],
  'a page border': [4090, 12],
  'pages and parts of two more': [20_000, 50_000],
  'the last page, which is not whole': [size - (size % 4096), size % 4096],
  'the end, over a page border': [size - 9000, 9000],
  'all of it': [0, size],
};

async function overwrites(t: TestContext, place: Place, engine: Engine): Promise<void> {
  const running = await startWritable(t, place, { engine });
  writeRegion(running.dir, 'file.bin', size, 1);
  const content = seededBytes(size, 1);
  const client = await RawClient.connect(t, running.port);
  const tags = new Set<string>();
  for (const [at, [what, [first, length]]] of Object.entries(ranges).entries()) {
    const body = seededBytes(length, 100 + at);
    body.copy(content, first);
    const { status, fields } = await change(client, overwriting(path, first, body, 10));
    assert.equal(status, 204, what);
    const read = await change(client, { method: 'GET', path });
    assert.equal(sha256(read.body), sha256(content), what);
    assert.equal(read.fields.get('etag'), fields.get('etag'), what);
    tags.add(fields.get('etag') ?? assert.fail());
  }
  assert.equal(tags.size, Object.keys(ranges).length, 'each has an entity-tag of its own');
  assert.ok(fileIn(running, 'file.bin').equals(content), 'and the file has the same bytes');
  assert.deepEqual(kept(running, 'tmp'), []);
  assert.equal(externalChangesIn(running), 0);
}

for (const place of places) {
  test(`an overwrite changes exactly its bytes, on ${place}`, async (t) => {
    for (const engine of everyEngine) await t.test(`read by ${engine}`, (t) => overwrites(t, place, engine));
  });
}

test('the entity-tag gets an epoch and a version, which counts', async (t) => {
  const running = await startWritable(t);
  writeRegion(running.dir, 'file.bin', size, 1);
  const client = await RawClient.connect(t, running.port);
  const before = (await change(client, { method: 'GET', path })).fields.get('etag')?.slice(1, -1);
  for (const version of [1, 2, 3]) {
    const { fields } = await change(client, overwriting(path, 0, Buffer.from('x'), 1));
    assert.equal(fields.get('etag'), `"${before}.1.${version}"`);
  }
});

test('of changes that are made for one version at the same time one succeeds', async (t) => {
  for (const place of places) {
    const running = await startWritable(t, place);
    writeRegion(running.dir, 'file.bin', size, 1);
    const clients = await Promise.all(Array.from({ length: 6 }, () => RawClient.connect(t, running.port)));
    // First before the region's epoch is opened, then after.
    for (let turn = 0; turn < 4; turn++) {
      const { etag } = await read(t, running, 'file.bin');
      const answers = clients.map((client, at) => {
        const asked = overwriting(path, at * 8192, seededBytes(100, turn), 5);
        return change(client, { ...asked, fields: { ...asked.fields, 'if-match': etag } });
      });
      const statuses = (await Promise.all(answers)).map(({ status }) => status).sort();
      assert.deepEqual(statuses, [204, 412, 412, 412, 412, 412], `${place}, turn ${turn}`);
    }
  }
});

const digest = `sha-256=:${Buffer.from(sha256(Buffer.from('abcde')), 'hex').toString('base64')}:`;

const fits = (contentRange: string, body = 'abcde'): Change => ({
  method: 'PUT',
  path,
  fields: { 'content-range': contentRange },
  body: Buffer.from(body),
});

const refused: Readonly<Record<string, readonly [Change, number, string]>> = {
  'a range behind the end': [fits(`bytes ${size}-${size + 4}/*`), 416, 'range-not-satisfiable'],
  'a range over the end': [fits(`bytes ${size - 2}-${size + 2}/*`), 416, 'range-not-satisfiable'],
  'a range far away': [fits('bytes 99999999999999999990-99999999999999999999/*'), 416, 'range-not-satisfiable'],
  'another size than it has': [fits('bytes 0-4/5000'), 416, 'range-not-satisfiable'],
  'a range that ends before it begins': [fits('bytes 4-0/*'), 400, 'bad-range'],
  'another unit': [fits('pages 0-4/*'), 400, 'bad-range'],
  'no positions': [fits('bytes */5'), 400, 'bad-range'],
  'no numbers': [fits('bytes a-b/*'), 400, 'bad-range'],
  'two ranges': [fits('bytes 0-1,4-6/*'), 400, 'bad-range'],
  'a last position at the size': [fits('bytes 0-4/4'), 400, 'bad-range'],
  'a body that is shorter than the range': [fits('bytes 0-4/*', 'abcd'), 400, 'bad-range'],
  'a body that is longer than the range': [fits('bytes 0-4/*', 'abcdef'), 400, 'bad-range'],
  'no body': [fits('bytes 0-4/*', ''), 400, 'bad-range'],
  'more than may come at once': [fits('bytes 0-1000/*', 'x'.repeat(1001)), 413, 'payload-too-large'],
  'a region that is not there': [{ ...fits('bytes 0-4/*'), path: '/regions/none' }, 404, 'region-not-found'],
  'Repr-Digest, which is about the whole': [
    { ...fits('bytes 0-4/*'), fields: { 'content-range': 'bytes 0-4/*', 'repr-digest': digest } },
    400,
    'bad-request',
  ],
};

for (const [what, [request, status, code]] of Object.entries(refused)) {
  test(`${what} is ${status} ${code}, and nothing changes`, async (t) => {
    const running = await startWritable(t, 'tmpfs', { maxPartial: 1000 });
    writeRegion(running.dir, 'file.bin', size, 1);
    const before = await send(t, running, { method: 'GET', path });
    const answer = await send(t, running, request);
    assert.deepEqual(refusalIn(answer), [status, code]);
    if (status === 416) assert.equal(answer.fields.get('content-range'), `bytes */${size}`);
    const after = await send(t, running, { method: 'GET', path });
    assert.equal(after.fields.get('etag'), before.fields.get('etag'));
    assert.ok(after.body.equals(before.body));
    assert.deepEqual(kept(running, 'tmp'), []);
  });
}

/** A chunked body, which says its length only by its end. */
function askInChunks(client: RawClient, contentRange: string, chunks: readonly string[]): void {
  const head = `PUT ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Range: ${contentRange}\r\n`;
  const body = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
  client.write(`${head}Transfer-Encoding: chunked\r\n\r\n${body}0\r\n\r\n`);
}

test('a chunked body is taken when it has the length of the range, and refused otherwise', async (t) => {
  const running = await startWritable(t);
  const { path: file } = writeRegion(running.dir, 'file.bin', size, 1);
  const content = seededBytes(size, 1);
  const long = ['abc', 'd'.repeat(3_000_000), 'e'.repeat(3_000_000)];
  for (const chunks of [['abc', 'd'], ['abc', 'def'], ['abcdef'], [], long]) {
    const client = await RawClient.connect(t, running.port);
    askInChunks(client, 'bytes 10-14/*', chunks);
    ask(client, { method: 'GET', path: '/healthz' });
    assert.deepEqual(refusalIn(await client.response()), [400, 'bad-range']);
    assert.equal((await client.response()).status, 200, 'the connection goes on');
    client.destroy();
  }
  assert.ok(fileIn(running, 'file.bin').equals(content), file);
  const client = await RawClient.connect(t, running.port);
  askInChunks(client, `bytes 10-14/${size}`, ['abc', 'de']);
  assert.equal((await client.response()).status, 204);
  content.write('abcde', 10);
  assert.ok(fileIn(running, 'file.bin').equals(content));
  assert.deepEqual(kept(running, 'tmp'), []);
});

test('bodies that come at the same time are not mixed', async (t) => {
  const running = await startWritable(t);
  writeRegion(running.dir, 'file.bin', size, 1);
  const content = seededBytes(size, 1);
  const length = 12_000;
  const clients = await Promise.all(Array.from({ length: 24 }, () => RawClient.connect(t, running.port)));
  for (let turn = 0; turn < 3; turn++) {
    const bodies = clients.map((_, at) => seededBytes(length, 100 * turn + at));
    for (const [at, client] of clients.entries()) {
      const range = `bytes ${at * length}-${(at + 1) * length - 1}/*`;
      client.write(`PUT ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Range: ${range}\r\n`);
      client.write(`Content-Length: ${length}\r\n\r\n`);
      client.socket.write(bodies[at]?.subarray(0, 5000) ?? assert.fail());
    }
    // All of them are under way.
    assert.equal((await send(t, running, { method: 'GET', path: '/healthz' })).status, 200);
    for (const [at, client] of clients.entries()) client.socket.write(bodies[at]?.subarray(5000) ?? assert.fail());
    for (const [at, client] of clients.entries()) {
      assert.equal((await client.response()).status, 204);
      bodies[at]?.copy(content, at * length);
    }
    assert.ok(fileIn(running, 'file.bin').equals(content));
  }
});

test('Content-Digest is that of the part', async (t) => {
  const running = await startWritable(t);
  writeRegion(running.dir, 'file.bin', size, 1);
  const request = (given: string): Change => ({
    ...fits('bytes 0-4/*'),
    fields: { 'content-range': 'bytes 0-4/*', 'content-digest': given },
  });
  const other = `sha-256=:${Buffer.alloc(32).toString('base64')}:`;
  assert.deepEqual(refusalIn(await send(t, running, request(other))), [400, 'digest-mismatch']);
  assert.deepEqual(refusalIn(await send(t, running, request('sha-256=abc'))), [400, 'digest-malformed']);
  assert.ok(fileIn(running, 'file.bin').equals(seededBytes(size, 1)));
  assert.equal((await send(t, running, request(digest))).status, 204);
  assert.equal(fileIn(running, 'file.bin').toString('latin1', 0, 5), 'abcde');
  assert.deepEqual(kept(running, 'tmp'), []);
});

test('an overwrite needs no quota, for the region gets no larger', async (t) => {
  const running = await startWritable(t, 'tmpfs', { maxBytes: size });
  await put(t, running, 'file.bin', seededBytes(size, 1));
  assert.equal((await send(t, running, overwriting(path, 0, seededBytes(size, 2), 5))).status, 204);
  assert.deepEqual(refusalIn(await send(t, running, fits('bytes 0-4/*', 'abcdef'))), [400, 'bad-range']);
  assert.equal(running.service.writer?.store.quota.used, size);
});

test('Want-Repr-Digest is of the bytes as they are after an overwrite', async (t) => {
  const running = await startWritable(t);
  writeRegion(running.dir, 'file.bin', size, 1);
  const client = await RawClient.connect(t, running.port);
  for (let turn = 0; turn < 5; turn++) {
    let digest: string | undefined;
    await until(async () => {
      // One that takes long is not waited for.
      ask(client, { method: 'HEAD', path, fields: { 'want-repr-digest': 'sha-256=5' } });
      digest = (await client.response('HEAD')).fields.get('repr-digest');
      return digest !== undefined;
    }, 'there is a digest');
    const expected = Buffer.from(sha256(fileIn(running, 'file.bin')), 'hex').toString('base64');
    assert.equal(digest, `sha-256=:${expected}:`);
    assert.equal((await change(client, overwriting(path, turn * 5000, seededBytes(6000, turn), 1))).status, 204);
  }
});

test('a GET that is pipelined behind an overwrite sees what that wrote', async (t) => {
  const running = await startWritable(t, 'ext4');
  writeRegion(running.dir, 'file.bin', size, 1);
  const client = await RawClient.connect(t, running.port);
  const turns = Array.from({ length: 6 }, (_, turn) => seededBytes(10_000, 200 + turn));
  for (const body of turns) {
    ask(client, overwriting(path, 3000, body, 10));
    ask(client, { method: 'GET', path, fields: { range: 'bytes=3000-12999' } });
  }
  for (const body of turns) {
    const put = await client.response();
    const got = await client.response();
    assert.deepEqual([put.status, got.status], [204, 206]);
    assert.equal(got.fields.get('etag'), put.fields.get('etag'));
    assert.ok(got.body.equals(body));
  }
});

test('what can not be changed is 405 with Allow', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 1);
  const single = await startWritable(t, 'tmpfs', { regions: [file] });
  const allowed = await send(t, single, overwriting(path, 0, Buffer.from('x'), 1));
  assert.deepEqual(refusalIn(allowed), [405, 'method-not-allowed']);
  assert.equal(allowed.fields.get('allow'), 'GET, HEAD, OPTIONS');
  const dir = makeFolder(t, 'tmpfs');
  writeFileSync(join(dir, 'file.bin'), 'abc');
  const readOnly = await startService(t, { dir });
  for (const method of ['PUT', 'PATCH', 'DELETE']) {
    const answer = await send(t, readOnly, { method, path, body: Buffer.from('x') });
    assert.deepEqual(refusalIn(answer), [405, 'method-not-allowed']);
    assert.equal(answer.fields.get('allow'), 'GET, HEAD, OPTIONS');
  }
  assert.equal((await send(t, readOnly, { method: 'POST', path: '/leases', body: Buffer.from('{}') })).status, 404);
});
