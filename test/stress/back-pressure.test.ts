/** Clients that ask for more than they read cost no more than what is in the sockets' buffers. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fastify from 'fastify';
import { pagerelay } from '../../src/plugin.ts';
import type { Engine } from '../../src/relay/relay.ts';
import { amount } from '../support/amount.ts';
import { listen, quick, untilNothingHeld } from '../support/app.ts';
import { everyEngine } from '../support/engines.ts';
import { type ListedReference, referencesOf } from '../support/holds.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, type RegionFile, sha256OfFile, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const kibibyte = 1 << 10;
const mebibyte = 1 << 20;
const requests = amount(30, 200);
// What a connection may have in both sockets' buffers: tcp_wmem and tcp_rmem end at 4 and 6 MiB.
const inBuffers = 16 * mebibyte;

type Fixture = { readonly running: Running; readonly file: RegionFile };

async function start(t: TestContext, engine: Engine): Promise<Fixture> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 2 * mebibyte, 141);
  return { running: await startService(t, { engine, lanes: 1, regions: [file] }), file };
}

const rangeAt = (at: number) => [at * 17, at * 17 + mebibyte - 1] as const;

async function pipeline({ running }: Fixture, t: TestContext): Promise<RawClient> {
  const client = await RawClient.connect(t, running.port);
  for (let at = 0; at < requests; at++) client.get('/regions/file.bin', rangeAt(at).join('-'));
  return client;
}

/** Waits until the server can send no more, and gives what it then holds. */
async function untilFull({ running }: Fixture): Promise<ListedReference[]> {
  const { relay } = running.service;
  const sum = () => Object.values(relay.counters().sentBytes).reduce((all, bytes) => all + bytes, 0);
  let sent = -1;
  let since = performance.now();
  await until(() => {
    if (sum() !== sent) since = performance.now();
    sent = sum();
    return sent > 0 && performance.now() - since > 100;
  }, 'nothing more goes out');
  return referencesOf(running);
}

async function readAll({ file }: Fixture, client: RawClient): Promise<void> {
  for (let at = 0; at < requests; at++) {
    assert.equal((await client.head()).status, 206);
    assert.equal(await client.hash(mebibyte), sha256OfFile(file.path, ...rangeAt(at)), `response ${at}`);
  }
  client.destroy();
}

for (const engine of everyEngine) {
  test(`pipelined requests wait for their turn, by ${engine}`, async (t) => {
    const fixture = await start(t, engine);
    const memory = process.memoryUsage.rss();
    const clients = [await pipeline(fixture, t), await pipeline(fixture, t)];
    const peers = async () => new Set((await referencesOf(fixture.running)).map(({ peer }) => peer)).size;
    // A stream's references know no peer.
    if (engine !== 'stream') await until(async () => (await peers()) === clients.length, 'each has one');
    const references = await untilFull(fixture);
    const unsent = references.filter(({ state }) => state === 'unsent');
    assert.ok(unsent.length <= clients.length, `${unsent.length} are being sent`);
    const held = references.reduce((sum, { bytes }) => sum + bytes, 0);
    assert.ok(held <= clients.length * (inBuffers + mebibyte), `${held} bytes are held`);
    const grown = process.memoryUsage.rss() - memory;
    assert.ok(grown < 96 * mebibyte, `${grown} bytes more memory`);
    for (const client of clients) await readAll(fixture, client);
    await untilNothingHeld(fixture.running.service.relay);
  });

  test(`a client that pipelines and goes away leaves nothing, by ${engine}`, async (t) => {
    const fixture = await start(t, engine);
    const client = await pipeline(fixture, t);
    await untilFull(fixture);
    client.destroy();
    await untilNothingHeld(fixture.running.service.relay);
    const { transmissions } = fixture.running.service.relay.counters();
    const begun = Object.values(transmissions).flatMap((outcomes) => Object.values(outcomes));
    assert.ok(begun.reduce((sum, count) => sum + count, 0) < requests, 'those without a turn were never held');
  });

  test(`the server stops reading requests of who reads no responses, by ${engine}`, async (t) => {
    const dir = makeFolder(t, 'tmpfs');
    writeRegion(dir, 'file.bin', 2 * mebibyte, 142);
    const app = fastify();
    let asked = 0;
    app.addHook('onRequest', async () => {
      asked++;
    });
    await app.register(pagerelay, { ...quick, dir, engine });
    const client = await RawClient.connect(t, await listen(t, app));
    const request = 'GET /regions/file.bin HTTP/1.1\r\nHost: test\r\n\r\n';
    const chunk = request.repeat(1000);
    // More than both sockets' buffers take.
    for (let bytes = 0; bytes < 24 * mebibyte; bytes += chunk.length) client.write(chunk);
    await until(() => asked > 0, 'it is asked');
    let before = -1;
    let since = performance.now();
    await until(() => {
      // What buffers and a few reads can hold; nearly 500,000 were sent.
      assert.ok(asked < 50_000, `${asked} requests were taken`);
      if (asked !== before) since = performance.now();
      before = asked;
      return performance.now() - since > 200;
    }, 'no more requests are read');
    assert.ok(client.socket.writableLength > mebibyte, 'the others wait at the client');
    client.destroy();
    await untilNothingHeld(app.pagerelay.relay);
  });

  test(`a reference shrinks from the front while its reader reads, by ${engine}`, async (t) => {
    const size = 24 * mebibyte;
    const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 143);
    const running = await startService(t, { engine, regions: [file] });
    const client = await RawClient.connect(t, running.port);
    client.get('/regions/file.bin');
    await client.head();
    for (let read = 0; read < size; read += size / 4) {
      await client.hash(size / 4);
      const left = size - read - size / 4;
      const most = left === 0 ? 0 : left + mebibyte;
      await until(
        async () => (await referencesOf(running)).every(({ bytes }) => bytes <= most),
        `at most ${most} bytes are held`,
        () => running.service.relay.counters().heldBytes,
      );
      const first = (await referencesOf(running))[0]?.first ?? size;
      assert.ok(first >= read + size / 4 - 256 * kibibyte, `it begins at ${first}`);
    }
    client.destroy();
    await untilNothingHeld(running.service.relay);
  });
}
