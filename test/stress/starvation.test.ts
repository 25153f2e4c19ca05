/** Readers and writers of the same pages all come through, or are told in time that they can't. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../src/relay/relay.ts';
import { amount, inTurn, twoInTurn } from '../support/amount.ts';
import { untilNothingHeld } from '../support/client-tools.ts';
import { everyEngine } from '../support/engines.ts';
import { slack } from '../support/limits.ts';
import { type Loop, startLoop, stopLoops, untilTurned } from '../support/loops.ts';
import { until } from '../support/poll.ts';
import { EndedEarly, RawClient, type RawResponse } from '../support/raw.ts';
import { makeFolder, type Place } from '../support/regions.ts';
import { askForRange, change, codeOf, overwriting } from '../support/requests.ts';
import { describePages, notUniform, pageSize, stampsOf } from '../support/self-describing.ts';
import { type Running, startService } from '../support/service.ts';

const pages = 6144;
const places: readonly Place[] = ['tmpfs', 'ext4'];
const path = '/regions/pages.bin';
const turns = amount(3, 5);

type Extent = { readonly firstPage: number; readonly pages: number };
type Scene = Running & { readonly engine: Engine; readonly place: Place };

async function open(t: TestContext, engine: Engine, place: Place, breakHolds = slack, maxWait = slack): Promise<Scene> {
  const dir = makeFolder(t, place);
  writeFileSync(join(dir, 'pages.bin'), describePages(0, pages, 0, 0));
  const running = await startService(t, { dir, writable: true, breakHolds, maxWait, engine, lanes: 1 });
  return { ...running, engine, place };
}

function rangeOf({ firstPage, pages }: Extent): string {
  return `${firstPage * pageSize}-${(firstPage + pages) * pageSize - 1}`;
}

function overwrite(client: RawClient, extent: Extent, stamp: number, waitSeconds: number): Promise<RawResponse> {
  const body = describePages(extent.firstPage, extent.pages, 1, stamp);
  return change(client, overwriting(path, extent.firstPage * pageSize, body, waitSeconds));
}

async function timed<Value>(work: Promise<Value>): Promise<{ value: Value; seconds: number }> {
  const began = performance.now();
  const value = await work;
  return { value, seconds: (performance.now() - began) / 1000 };
}

async function readWhole(client: RawClient, extent: Extent): Promise<void> {
  askForRange(client, path, rangeOf(extent));
  const { status } = await client.head();
  assert.equal(status, 206);
  const stamps = stampsOf(await client.take(extent.pages * pageSize), extent.firstPage);
  assert.ok(!stamps.includes(notUniform), 'every page is one write');
}

async function readBoth(client: RawClient, one: Extent, other: Extent): Promise<void> {
  askForRange(client, path, `${rangeOf(one)},${rangeOf(other)}`);
  assert.equal((await client.response()).status, 206);
}

let lastStamp = 0;

async function writeOnce(client: RawClient, extent: Extent): Promise<void> {
  const { status, body } = await overwrite(client, extent, ++lastStamp, slack);
  assert.equal(status, 204, body.toString('latin1'));
}

function startLoops(
  t: TestContext,
  { port }: Scene,
  ...each: ((client: RawClient) => Promise<void>)[]
): Promise<Loop[]> {
  return Promise.all(each.map((once) => startLoop(t, port, once)));
}

async function endlessReaders(t: TestContext, engine: Engine, place: Place): Promise<void> {
  const scene = await open(t, engine, place);
  const read = (client: RawClient) => readWhole(client, { firstPage: 0, pages: 512 });
  const readers = await startLoops(t, scene, ...Array.from({ length: 6 }, () => read));
  await untilTurned(readers, 1);
  const writer = await RawClient.connect(t, scene.port);
  for (let turn = 1; turn <= turns; turn++) {
    const { status, body } = await overwrite(writer, { firstPage: 100, pages: 64 }, turn, slack);
    assert.equal(status, 204, body.toString('latin1'));
    await untilTurned(readers, 1);
  }
  await stopLoops(readers); // None of them was broken off.
}

async function endlessWriters(t: TestContext, engine: Engine, place: Place): Promise<void> {
  const scene = await open(t, engine, place);
  const write = (client: RawClient) => writeOnce(client, { firstPage: 20, pages: 64 });
  const writers = await startLoops(t, scene, write, write, write, write);
  await untilTurned(writers, 1);
  const reader = await RawClient.connect(t, scene.port);
  for (let turn = 1; turn <= turns; turn++) {
    await readWhole(reader, { firstPage: 0, pages: 128 }); // Which is a 503 beyond its wait.
    await untilTurned(writers, 1);
  }
  await stopLoops(writers);
}

async function overlappingWriters(t: TestContext, engine: Engine, place: Place): Promise<void> {
  const scene = await open(t, engine, place);
  const [first, second] = [0, 32].map(
    (firstPage) => (client: RawClient) => writeOnce(client, { firstPage, pages: 64 }),
  );
  assert.ok(first && second);
  const writers = await startLoops(t, scene, first, second);
  const counts = () => writers.map(({ turns }) => turns);
  await until(() => counts().reduce((sum, turns) => sum + turns) >= 60, '60 writes', counts);
  const ahead = Math.min(...counts());
  await stopLoops(writers);
  assert.ok(ahead >= 15, `turns: ${counts()}`);
}

async function oppositeOrders(t: TestContext, engine: Engine, place: Place): Promise<void> {
  const scene = await open(t, engine, place);
  const [low, high] = [{ firstPage: 0, pages: 64 } as const, { firstPage: 500, pages: 64 } as const];
  const loops = await startLoops(
    t,
    scene,
    (client) => readBoth(client, low, high),
    (client) => readBoth(client, high, low),
    (client) => readWhole(client, { firstPage: 0, pages: 600 }),
    (client) => writeOnce(client, low),
    (client) => writeOnce(client, high),
    (client) => writeOnce(client, { firstPage: 32, pages: 500 }),
  );
  await untilTurned(loops, turns);
  await stopLoops(loops);
}

function assertTold(response: RawResponse, status: number): void {
  assert.equal(response.status, status, response.body.toString('latin1'));
  assert.match(response.fields.get('retry-after') ?? '', /^\d+$/);
}

function assertRefused(response: RawResponse, status: number): void {
  assertTold(response, status);
  assert.notEqual(codeOf(response), '');
}

/** The silent reader's pages may change once they can't be seen by it any more: where fresh ones take their place, or were copied. */
function mustComeThrough({ engine, place }: Scene): boolean {
  // What zerocopy has not delivered yet is the pages themselves.
  return place === 'tmpfs' || engine === 'copy' || engine === 'stream';
}

async function writeBehindSilence(t: TestContext, scene: Scene, extent: Extent, wait: number): Promise<void> {
  const writer = await RawClient.connect(t, scene.port);
  const { value, seconds } = await timed(overwrite(writer, extent, 7, wait));
  assert.ok(seconds < wait + slack, `${seconds} s for a wait of ${wait} s`);
  t.diagnostic(`behind a reader that never reads: ${value.status} after ${seconds.toFixed(3)} s of ${wait} s`);
  if (value.status !== 204 && !mustComeThrough(scene)) assertRefused(value, 409);
  else assert.equal(value.status, 204, value.body.toString('latin1'));
  writer.destroy();
}

/** It is short where it was broken off, and only there. */
async function readWhatComes(client: RawClient, { service }: Scene): Promise<Buffer> {
  const { fields } = await client.head();
  const length = Number(fields.get('content-length'));
  const body = await client.take(length).catch((error: unknown) => {
    if (!(error instanceof EndedEarly)) throw error;
    return client.take(error.got);
  });
  assert.equal(body.length < length, service.relay.counters().breaks > 0, `${body.length} bytes of ${length}`);
  return body;
}

async function silentReader(t: TestContext, engine: Engine, place: Place): Promise<void> {
  const scene = await open(t, engine, place, 0.5);
  const silent = await RawClient.connect(t, scene.port);
  askForRange(silent, path, rangeOf({ firstPage: 0, pages }));
  await until(() => scene.service.relay.counters().sentBytes[engine] >= 64 * pageSize, 'some is with the socket');
  // Its first pages wait in the reader's queue, the last ones have not gone out.
  await writeBehindSilence(t, scene, { firstPage: 0, pages: 16 }, 2);
  await writeBehindSilence(t, scene, { firstPage: pages - 16, pages: 16 }, 3);

  const body = await readWhatComes(silent, scene);
  assert.ok(
    stampsOf(body, 0).every((stamp) => stamp === 0),
    'what came is as it was',
  );
  silent.destroy();
  const writer = await RawClient.connect(t, scene.port);
  await writeOnce(writer, { firstPage: 0, pages });
  await untilNothingHeld(scene);
}

async function lease(client: RawClient, { firstPage, pages }: Extent, ttlSeconds: number): Promise<string> {
  const [first, last] = [firstPage * pageSize, (firstPage + pages) * pageSize - 1];
  const body = Buffer.from(JSON.stringify({ region: 'pages.bin', first, last, ttlSeconds }));
  const fields = { 'content-type': 'application/json' };
  const response = await change(client, { method: 'POST', path: '/leases', fields, body });
  assert.equal(response.status, 201, response.body.toString('latin1'));
  return (JSON.parse(response.body.toString('utf8')) as { id: string | number }).id.toString();
}

/** Seconds that readers wait behind a lease. */
const readerWait = 10;

async function behindLease(t: TestContext, engine: Engine, place: Place): Promise<void> {
  const scene = await open(t, engine, place, slack, readerWait);
  const connect = () => RawClient.connect(t, scene.port);
  const [holder, reader, other, writer] = await Promise.all([connect(), connect(), connect(), connect()]);
  const [leased, free] = [{ firstPage: 100, pages: 16 } as const, { firstPage: 116, pages: 16 } as const];
  const id = await lease(holder, leased, 60);

  askForRange(reader, path, rangeOf({ firstPage: 90, pages: 20 }));
  const refusal = timed(reader.response());
  const beside = await timed(readWhole(other, free));
  assert.ok(beside.seconds < slack, `${beside.seconds} s beside the lease`);
  const writing = await timed(overwrite(writer, leased, 1, 1));
  assertRefused(writing.value, 409);
  assert.ok(writing.seconds < 1 + slack, `${writing.seconds} s for a wait of 1 s`);
  const { value, seconds } = await refusal;
  assertTold(value, 503);
  assert.equal(value.body.length, 0, 'who asks for a range could take a body for it');
  assert.ok(seconds < readerWait + slack, `the reader waited ${seconds} s`);

  const served = timed(readWhole(reader, leased));
  assert.equal((await change(holder, { method: 'DELETE', path: `/leases/${id}` })).status, 204);
  assert.ok((await served).seconds < slack, 'served when the lease ends');
  await lease(holder, leased, 1);
  assert.ok((await timed(readWhole(reader, leased))).seconds < 1 + slack, 'served when its time is over');
}

const behaviours = {
  'endless readers keep no writer out beyond its wait': endlessReaders,
  'endless writers keep no reader out': endlessWriters,
  'two overlapping writers take turns': overlappingWriters,
  'ranges in opposite orders lock nobody out': oppositeOrders,
  'a reader that never reads costs a writer no more than its wait': silentReader,
};

for (const [nth, [behaviour, check]] of Object.entries(behaviours).entries()) {
  test(behaviour, async (t) => {
    for (const [at, engine] of twoInTurn(everyEngine, nth).entries()) {
      for (const place of inTurn(places, at + nth)) {
        await t.test(`by ${engine} from ${place}`, (t) => check(t, engine, place));
      }
    }
  });
}

// All at once: most of it is waiting.
test('behind a lease readers are served when it ends, or told in time', {
  concurrency: true,
}, async (t) => {
  const cases = everyEngine.flatMap((engine, at) => inTurn(places, at).map((place) => [engine, place] as const));
  await Promise.all(
    cases.map(([engine, place]) => t.test(`by ${engine} from ${place}`, (t) => behindLease(t, engine, place))),
  );
});
