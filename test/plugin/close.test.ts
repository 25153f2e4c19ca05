/** app.close(): waits for readers, and leaves neither descriptor nor mapping nor thread. */
import assert from 'node:assert/strict';
import { before, type TestContext, test } from 'node:test';
import fastify, { type FastifyInstance } from 'fastify';
import { type PagerelayOptions, pagerelay } from '../../src/plugin.ts';
import { quick, type RunningApp, startApp } from '../support/app.ts';
import { countOpen, type Open, untilClosed } from '../support/descriptors.ts';
import { countLanes } from '../support/lanes.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, type RegionFile, sha256OfFile, writeRegion } from '../support/regions.ts';
import { warmProcess } from '../support/warm-process.ts';

const mebibyte = 1 << 20;
const size = 20 * mebibyte;

/** What there was before. */
type Left = { readonly open: Open; readonly lanes: number };
type Fixture = RunningApp & Left & { readonly file: RegionFile };

async function start(t: TestContext, options: PagerelayOptions = {}): Promise<Fixture> {
  const dir = makeFolder(t, 'tmpfs');
  const file = writeRegion(dir, 'model.bin', size, 121);
  const before = { open: countOpen(), lanes: countLanes() };
  const running = await startApp(t, { dir, drain: 10, lanes: 3, ...options }, (app) => {
    app.get('/mine', (_, reply) => reply.sendRegion('model.bin'));
  });
  return { ...running, ...before, file };
}

function beginClosing(app: FastifyInstance): { closed(): boolean; done: Promise<void> } {
  let closed = false;
  const done = Promise.resolve(app.close()).then(() => {
    closed = true;
  });
  return { closed: () => closed, done };
}

async function untilNothingLeft({ open, lanes }: Left): Promise<void> {
  await untilClosed(open);
  await until(
    () => countLanes() <= lanes,
    'no lane is left',
    () => ({ was: lanes, is: countLanes() }),
  );
}

before(warmProcess);

test('an application that is closed leaves nothing open', async (t) => {
  const fixture = await start(t);
  assert.ok(countLanes() >= fixture.lanes + 3, 'there are lanes');
  const client = await RawClient.connect(t, fixture.port);
  for (const range of ['5-5000000', '0-9']) {
    client.get('/mine', range);
    await client.response();
  }
  await beginClosing(fixture.app).done;
  assert.equal((await client.rest()).bytes, 0);
  client.destroy();
  await untilNothingLeft(fixture);
});

test('closing again and again leaves nothing', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'model.bin', 1000, 1);
  const fixture = { open: countOpen(), lanes: countLanes() };
  for (let again = 0; again < 20; again++) {
    const app = fastify();
    await app.register(pagerelay, { ...quick, ...(again % 2 ? { dir } : {}) });
    await app.inject({ url: again % 2 ? '/regions/model.bin' : '/regions/demo', headers: { range: 'bytes=0-9' } });
    await app.close();
  }
  await untilNothingLeft(fixture);
});

test('closing waits for a local reader that has not read what was sent', async (t) => {
  const fixture = await start(t);
  const { app, file, port } = fixture;
  const client = await RawClient.connect(t, port);
  client.get('/mine', '1-30000');
  await until(() => app.pagerelay.relay.counters().transmissions.sendfile.complete === 1, 'it is accepted');
  const { closed, done } = beginClosing(app);
  await until(() => !app.server.listening, 'no new connections');
  const began = performance.now();
  await until(() => performance.now() - began > 150, 'some looks have been made');
  assert.equal(closed(), false, 'pages are in flight');
  await client.head();
  assert.equal(await client.hash(30_000), sha256OfFile(file.path, 1, 30_000));
  await done;
  client.destroy();
  await untilNothingLeft(fixture);
});

test('closing waits for a body that a lane carries', async (t) => {
  const fixture = await start(t);
  const { app, file, port } = fixture;
  const client = await RawClient.connect(t, port);
  client.get('/mine');
  await client.head();
  const { closed, done } = beginClosing(app);
  await until(() => !app.server.listening, 'no new connections');
  assert.equal(await client.hash(size / 2), sha256OfFile(file.path, 0, size / 2 - 1));
  assert.equal(closed(), false);
  assert.equal(await client.hash(size / 2), sha256OfFile(file.path, size / 2, size - 1));
  client.destroy(); // Fastify waits for a connection that was busy when closing began, for as long as it is kept alive.
  await done;
  await untilNothingLeft(fixture);
});

test('closing waits for unread bytes no longer than the drain time', async (t) => {
  const fixture = await start(t, { drain: 0.1 });
  const { app, port } = fixture;
  const client = await RawClient.connect(t, port);
  client.get('/mine', '0-29999');
  await until(() => app.pagerelay.relay.counters().transmissions.sendfile.complete === 1, 'it is accepted');
  await beginClosing(app).done;
  assert.equal((await client.response()).body.length, 30_000, 'what was sent stays with the reader');
  client.destroy();
  await untilNothingLeft(fixture);
});

test('closing with a stalled reader ends when that is broken off', async (t) => {
  const fixture = await start(t, { drain: 0.1, maxHold: 0.3 });
  const { app, port } = fixture;
  const client = await RawClient.connect(t, port);
  client.get('/mine');
  await client.head();
  await beginClosing(app).done;
  assert.ok((await client.rest()).bytes < size, 'the body is short');
  client.destroy();
  await untilNothingLeft(fixture);
});

test('an application that never listened closes', async () => {
  const fixture = { open: countOpen(), lanes: countLanes() };
  const app = fastify();
  await app.register(pagerelay, quick);
  await app.close();
  await untilNothingLeft(fixture);
});
