/** What is sent is limited: who reads too slowly, bandwidth, and how much is on its way; the others are served. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { outcomesOf } from '../support/holds.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const mebibyte = 1 << 20;

/** Who answers and sends: lanes both, Node and lanes, or Node both. */
const ways = { lanes: { express: true }, Node: { express: false }, 'Node, as a stream': { engine: 'stream' } } as const;

type Options = Parameters<typeof startService>[1];

async function serve(t: TestContext, options: Options) {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 16 * mebibyte, 271);
  return { file, running: await startService(t, { regions: [file], ...options }) };
}

async function limited({ origin }: Running): Promise<Record<string, number>> {
  const text = await (await fetch(`${origin}/metrics`)).text();
  const lines = text.matchAll(/^pagerelay_limited_total\{reason="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, reason = '', count]) => [reason, Number(count)]));
}

async function allIsGivenBack({ service }: Running): Promise<void> {
  const left = () => {
    service.relay.references();
    const { references, heldBytes, heldPages, quarantined } = service.relay.counters();
    return { references, heldBytes, heldPages, quarantined };
  };
  const nothing = { references: 0, heldBytes: 0, heldPages: 0, quarantined: 0 };
  await until(
    () => JSON.stringify(left()) === JSON.stringify(nothing),
    'nothing is held',
    () => JSON.stringify(left()),
  );
}

/** One that has asked for all of the region, and got its head. */
async function begin(t: TestContext, { port }: Running): Promise<RawClient> {
  const client = await RawClient.connect(t, port);
  client.get('/regions/file.bin');
  assert.equal((await client.head()).status, 200);
  return client;
}

async function isServed(t: TestContext, { port }: Running, path: string): Promise<void> {
  const client = await RawClient.connect(t, port);
  client.get('/regions/file.bin', '5-4100');
  const { status, body } = await client.response();
  assert.deepEqual([status, body.equals(bytesOf(path, 5, 4100))], [206, true]);
  client.destroy();
}

for (const [who, options] of Object.entries(ways)) {
  test(`who reads too slowly is broken off and can tell, and others are served: ${who}`, async (t) => {
    const { file, running } = await serve(t, { ...options, minRate: 64 * mebibyte, minRateGrace: 0.5 });
    const slow = await begin(t, running);
    let taken = 0;
    const trickle = async () => {
      taken += (await slow.take(32_768)).length; // of which the whole region takes longer than it may
      return (await limited(running)).min_rate === 1;
    };
    const end = until(trickle, 'it is broken off');
    for (let each = 0; each < 20; each++) await isServed(t, running, file.path);
    await end;
    assert.ok(taken + (await slow.rest()).bytes < file.size, 'it ends short of its Content-Length');
    assert.equal((await limited(running)).min_rate, 1);
    await isServed(t, running, file.path);
    await allIsGivenBack(running);
  });

  test(`a connection gets no more than its bandwidth, every byte of it, and others are served: ${who}`, async (t) => {
    const rate = mebibyte;
    const { file, running } = await serve(t, { ...options, bandwidthPerConnection: rate });
    const before = performance.now();
    const client = await RawClient.connect(t, running.port);
    client.get('/regions/file.bin', `0-${mebibyte - 1}`);
    assert.equal((await client.head()).status, 206);
    await isServed(t, running, file.path);
    assert.ok((await client.take(mebibyte)).equals(bytesOf(file.path, 0, mebibyte - 1)));
    const seconds = (performance.now() - before) / 1000;
    const owed = 65_536; // a chunk of a stream
    assert.ok(mebibyte - owed <= rate * (seconds + 0.2), `${seconds} s`);
    assert.equal((await limited(running)).bandwidth, 1);
    client.destroy();
    await allIsGivenBack(running);
  });

  test(`beyond the transmissions that may be on their way it is 503, and these go on: ${who}`, async (t) => {
    const { file, running } = await serve(t, { ...options, maxTransmissions: 3 });
    const readers = [await begin(t, running), await begin(t, running), await begin(t, running)];
    const late = await RawClient.connect(t, running.port);
    late.get('/regions/file.bin');
    const refused = await late.response();
    assert.deepEqual([refused.status, refused.fields.get('retry-after')], [503, '1']);
    assert.equal(refused.fields.get('content-type'), 'application/problem+json');
    assert.equal(JSON.parse(refused.body.toString()).code, 'overloaded');
    late.get('/regions/file.bin', '0-9');
    assert.equal((await late.response()).status, 503, 'on the same connection');
    const counted = await limited(running);
    assert.equal(counted.transmissions, 2);
    for (const reader of readers)
      assert.ok((await reader.take(file.size)).equals(bytesOf(file.path, 0, file.size - 1)));
    await allIsGivenBack(running);
    late.get('/regions/file.bin', '0-9');
    assert.equal((await late.response()).status, 206);
    for (const client of [...readers, late]) client.destroy();
    await allIsGivenBack(running);
  });

  test(`beyond the bytes that may be held it is 503, until clients that never read are broken off: ${who}`, async (t) => {
    const { file, running } = await serve(t, { ...options, maxHeldBytes: 24 * mebibyte, maxHold: 0.5 });
    const silent = [await begin(t, running), await begin(t, running)];
    const late = await RawClient.connect(t, running.port);
    late.get('/regions/file.bin');
    assert.equal((await late.response()).status, 503);
    assert.ok(((await limited(running)).held_bytes ?? 0) >= 1);
    await until(() => outcomesOf(running.service).stalled === 2, 'they are broken off');
    for (const client of silent) assert.ok((await client.rest()).bytes < file.size);
    await allIsGivenBack(running);
    late.get('/regions/file.bin');
    assert.equal((await late.response()).status, 200);
    late.destroy();
    await allIsGivenBack(running);
  });
}
