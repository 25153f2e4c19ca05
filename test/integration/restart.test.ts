/** Restarts without a gap (docs/operations.md): another process takes the place of one that has downloads in flight. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { amount } from '../support/amount.ts';
import { askForLease } from '../support/ask-for-lease.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, sha256, writeRegion } from '../support/regions.ts';
import { Restarts } from '../support/restarts.ts';

const mebibyte = 1 << 20;
const restarts = amount(2, 5);
const downloads = amount(16, 200);
const size = amount(3, 4) * mebibyte;
const page = 4096;

/** What a region holds, at each entity-tag that it was answered with. */
class Model {
  readonly #bytes: Buffer;
  readonly #at = new Map<string, string>();

  constructor(bytes: Buffer) {
    this.#bytes = Buffer.from(bytes);
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  write(offset: number, bytes: Buffer, etag: string): void {
    bytes.copy(this.#bytes, offset);
    this.#at.set(etag, sha256(this.#bytes));
  }

  digestAt(etag: string | undefined): string | undefined {
    return this.#at.get(etag ?? '');
  }
}

async function overwrite(client: RawClient, name: string, offset: number, bytes: Buffer): Promise<string> {
  const range = `Content-Range: bytes ${offset}-${offset + bytes.length - 1}/*`;
  client.write(
    `PUT /regions/${name} HTTP/1.1\r\nHost: localhost\r\n${range}\r\nContent-Length: ${bytes.length}\r\n\r\n`,
  );
  client.socket.write(bytes);
  const { status, fields, body } = await client.response();
  assert.equal(status, 204, body.toString());
  return fields.get('etag') ?? '';
}

/** A download that is read in as many parts as it is told to. */
class Download {
  readonly #client: RawClient;
  readonly #model: Model;
  readonly #etag: string | undefined;
  readonly #pieces: Buffer[] = [];
  #left = size;

  private constructor(client: RawClient, model: Model, etag: string | undefined) {
    this.#client = client;
    this.#model = model;
    this.#etag = etag;
  }

  static async begin(t: TestContext, port: number, name: string, model: Model): Promise<Download> {
    const client = await RawClient.connect(t, port);
    client.get(`/regions/${name}`);
    const { status, fields } = await client.head();
    assert.equal(status, 200);
    return new Download(client, model, fields.get('etag'));
  }

  async take(bytes: number): Promise<void> {
    const count = Math.min(bytes, this.#left);
    this.#pieces.push(await this.#client.take(count));
    this.#left -= count;
  }

  /** The rest; and that the connection, which is another process's then, goes on. */
  async end(): Promise<void> {
    await this.take(this.#left);
    assert.equal(sha256(Buffer.concat(this.#pieces)), this.#model.digestAt(this.#etag), `all of ${this.#etag}`);
    this.#client.get('/regions/still', '0-9');
    assert.equal((await this.#client.response()).status, 206);
    this.#client.destroy();
  }
}

test('a restart refuses and breaks nothing: downloads, new requests, requests on old connections, and a writer', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  const models = { still: new Model(seededBytes(size, 1)), hot: new Model(seededBytes(size, 2)) };
  for (const [name, seed] of [
    ['still', 1],
    ['hot', 2],
  ] as const)
    writeRegion(dir, name, size, seed);
  const service = await Restarts.start(t, ['--dir', dir, '--writable', '--break-holds', '120']);
  const { port } = service;
  const writer = await RawClient.connect(t, port);
  for (const name of ['still', 'hot'] as const) {
    const bytes = seededBytes(3 * page, 7);
    models[name].write(page, bytes, await overwrite(writer, name, page, bytes));
  }
  const begun: Download[] = [];
  for (let index = 0; index < downloads; index++) {
    const name = index % 8 === 0 ? 'hot' : 'still';
    begun.push(await Download.begin(t, port, name, models[name]));
  }
  const done = { isOver: false, writes: 0, reads: 0 };
  const busy = Promise.all([keepWriting(writer, models.hot, done), keepReading(t, port, done)]);
  const idle = await RawClient.connect(t, port);
  for (let count = 1; count <= restarts; count++) {
    await Promise.all(begun.map((download) => download.take(Math.floor(size / (restarts + 2)))));
    await service.restart();
    idle.get('/regions/still', '0-9');
    assert.equal((await idle.response()).status, 206, 'on a connection that was idle meanwhile');
  }
  await Promise.all(begun.map((download) => download.end()));
  done.isOver = true;
  await busy;
  assert.ok(done.writes >= restarts && done.reads >= restarts, `${done.writes} writes, ${done.reads} reads`);
  const client = await RawClient.connect(t, port);
  client.get('/regions/hot');
  const { fields, body } = await client.response();
  assert.ok(body.equals(models.hot.bytes), 'every write is there');
  assert.equal(models.hot.digestAt(fields.get('etag')), sha256(body));
  for (const each of [idle, writer, client]) each.destroy();
  assert.deepEqual(await service.end(), { code: 0, signal: null });
});

// Ten a second, on one connection, each of which the model has when it is answered.
async function keepWriting(client: RawClient, model: Model, done: { isOver: boolean; writes: number }): Promise<void> {
  while (!done.isOver) {
    const bytes = seededBytes(page, 100 + done.writes);
    const offset = ((done.writes * 37) % (size / page)) * page;
    model.write(offset, bytes, await overwrite(client, 'hot', offset, bytes));
    done.writes++;
    await delay(100);
  }
}

// Each on a connection of its own.
async function keepReading(t: TestContext, port: number, done: { isOver: boolean; reads: number }): Promise<void> {
  while (!done.isOver) {
    const client = await RawClient.connect(t, port);
    client.get('/regions/still', '4096-8191', 'Connection: close\r\n');
    assert.equal((await client.response()).status, 206);
    client.destroy();
    done.reads++;
    await delay(5);
  }
}

test('tags stay across a restart, and a download goes on behind it by If-Match', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'plain', 64 * page, 3);
  writeRegion(dir, 'changed', 64 * page, 4);
  const service = await Restarts.start(t, ['--dir', dir, '--writable']);
  const writer = await RawClient.connect(t, service.port);
  await overwrite(writer, 'changed', page, seededBytes(page, 9));
  const tags = async () => {
    const client = await RawClient.connect(t, service.port);
    const found: (string | undefined)[] = [];
    for (const name of ['plain', 'changed']) {
      client.get(`/regions/${name}`, '0-9');
      found.push((await client.response()).fields.get('etag'));
    }
    client.destroy();
    return found;
  };
  const before = await tags();
  await service.restart();
  assert.deepEqual(await tags(), before);
  const client = await RawClient.connect(t, service.port);
  client.get('/regions/changed', '10-', `If-Match: ${before[1]}\r\n`);
  assert.equal((await client.response()).status, 206);
  const moved = await overwrite(writer, 'changed', page, seededBytes(page, 10));
  assert.equal(moved, before[1]?.replace(/\.1"$/, '.2"'), 'the version moves by one, in the same epoch');
  for (const each of [writer, client]) each.destroy();
  assert.deepEqual(await service.end(), { code: 0, signal: null });
  assert.deepEqual(service.messages('versions of regions could not'), []);
});

test('nobody gets a lease on pages that a client has from the process before and has not read', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'file', 64 * page, 5);
  const service = await Restarts.start(t, ['--dir', dir, '--writable']);
  const client = await RawClient.connect(t, service.port);
  client.get('/regions/file');
  await client.head(); // The rest is in the kernel, all of it, and nothing is under way on the connection.
  await service.restart();
  assert.equal(await askForLease(service.port, 1), 409);
  assert.ok((await client.take(64 * page)).equals(seededBytes(64 * page, 5)));
  assert.equal(await askForLease(service.port, 20), 201);
  client.destroy();
  assert.deepEqual(await service.end(), { code: 0, signal: null }, service.child.stderr());
});
