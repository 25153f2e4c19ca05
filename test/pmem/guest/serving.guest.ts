/** Regions on every kind of persistent memory, and on huge pages: what is told of them, and their bytes. */
import assert from 'node:assert/strict';
import { globSync, readFileSync, rmSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { EngineChoice } from '../../../src/relay/engine.ts';
import { untilNothingHeld } from '../../support/client-tools.ts';
import { RawClient } from '../../support/raw.ts';
import { makeFolder, seededBytes, sha256, writeRegion } from '../../support/regions.ts';
import { type Running, startService } from '../../support/service.ts';
import { fill } from './fill.ts';

const timeout = 60_000;
const mebibyte = 1 << 20;
const choices: readonly EngineChoice[] = ['auto', 'splice', 'copy', 'sendfile'];

type Listed = { name: string; size: number; backing: string; engine: string; copyFree: boolean | null; node: number };

async function listedBy({ service }: Running): Promise<Listed> {
  await service.app.inject({ method: 'HEAD', url: '/regions/file.bin' }); // Of what nobody reads no nodes are told.
  const { regions } = (await service.app.inject({ url: '/regions' })).json() as { regions: Listed[] };
  return regions[0] ?? assert.fail('a region is listed');
}

/** What a region must answer, where its content is known from `from` on. */
type Known = { readonly size: number; readonly from: number; readonly bytes: Buffer };

async function checkRange(client: RawClient, known: Known, range: string, first: number, length: number) {
  client.get('/regions/file.bin', range);
  const { status, fields, body } = await client.response();
  assert.deepEqual([status, fields.get('content-range')], [206, `bytes ${first}-${first + length - 1}/${known.size}`]);
  const at = first - known.from;
  assert.ok(body.equals(known.bytes.subarray(at, at + length)), `bytes=${range}`);
}

/** Single bytes, across pages, whole pages, and more than a first send, around the middle of what is known. */
async function checkRanges(t: TestContext, running: Running, known: Known): Promise<void> {
  const client = await RawClient.connect(t, running.port);
  const { size, from, bytes } = known;
  const middle = from + (bytes.length >> 1) - ((bytes.length >> 1) % 4096);
  for (const [first, length] of [
    [from, 1],
    [middle - 1, 2],
    [middle, 4096],
    [middle - 5000, 10_001],
    [from, bytes.length],
    [from + bytes.length - 1, 1],
  ] as const) {
    await checkRange(client, known, `${first}-${first + length - 1}`, first, length);
  }
  client.get('/regions/file.bin', `${size}-`);
  assert.equal((await client.response()).status, 416);
  client.destroy();
}

async function checkTail(t: TestContext, running: Running, known: Known): Promise<void> {
  const client = await RawClient.connect(t, running.port);
  await checkRange(client, known, '-5001', known.size - 5001, 5001);
  await checkRange(client, known, `${known.size - 5001}-${known.size + 100}`, known.size - 5001, 5001);
  client.destroy();
}

/** Where sendfile is EINVAL: nobody shall see that, whatever was asked for. */
function checkEngine(choice: EngineChoice, { engine, copyFree }: Listed): void {
  if (choice === 'sendfile') assert.notEqual(engine, 'sendfile');
  else assert.equal(engine, choice === 'auto' ? 'splice' : choice);
  if (engine === 'splice') assert.notEqual(copyFree, false);
}

for (const place of ['ext4-dax', 'xfs-dax'] as const) {
  test(`regions on ${place} are fsdax on the device's node, sent by splice`, { timeout }, async (t) => {
    const dir = makeFolder(t, place);
    const size = 3 * mebibyte + 123;
    writeRegion(dir, 'file.bin', size, 7);
    const known = { size, from: 0, bytes: seededBytes(size, 7) };
    for (const engine of choices) {
      const running = await startService(t, { dir, engine });
      const listed = await listedBy(running);
      const expected = engine === 'auto' ? 'splice' : engine;
      assert.deepEqual([listed.backing, listed.size, listed.node, listed.engine], ['fsdax', size, 1, expected]);
      if (expected === 'splice') assert.notEqual(listed.copyFree, false);
      else assert.equal(listed.copyFree, false, `${engine} copies`);
      await checkRanges(t, running, known);
      await checkTail(t, running, known);
      await untilNothingHeld(running);
      await running.close();
    }
  });

  test(`a whole region on ${place} and several ranges of it`, { timeout }, async (t) => {
    const dir = makeFolder(t, place);
    writeRegion(dir, 'file.bin', mebibyte + 1, 8);
    const bytes = seededBytes(mebibyte + 1, 8);
    const running = await startService(t, { dir });
    const client = await RawClient.connect(t, running.port);
    client.get('/regions/file.bin');
    const whole = await client.response();
    assert.deepEqual([whole.status, sha256(whole.body)], [200, sha256(bytes)]);
    client.get('/regions/file.bin', '0-0,4095-8192,-3');
    const several = await client.response();
    assert.equal(several.status, 206);
    for (const part of [bytes.subarray(4095, 8193), bytes.subarray(-3)]) assert.ok(several.body.includes(part));
    client.destroy();
  });
}

test('a devdax device is a region of the size that sysfs tells', { timeout }, async (t) => {
  const device = globSync('/dev/dax*')[0] ?? assert.fail('a devdax device');
  const size = Number(readFileSync(`/sys/bus/dax/devices/${device.slice('/dev/'.length)}/size`, 'utf8'));
  const [head, tail] = [seededBytes(4 * mebibyte, 9), seededBytes(2 * mebibyte, 10)];
  fill(device, head);
  fill(device, tail, size - tail.length);
  for (const engine of choices) {
    const running = await startService(t, { regions: [{ name: 'file.bin', path: device }], engine });
    const listed = await listedBy(running);
    assert.deepEqual([listed.backing, listed.size, listed.node], ['devdax', size, 1]);
    checkEngine(engine, listed);
    await checkRanges(t, running, { size, from: 0, bytes: head });
    await checkTail(t, running, { size, from: size - tail.length, bytes: tail });
    await untilNothingHeld(running);
    await running.close();
  }
});

test('a file of huge pages is a region', { timeout }, async (t) => {
  const path = '/dev/hugepages/region';
  t.after(() => rmSync(path, { force: true }));
  const bytes = seededBytes(6 * mebibyte, 11);
  fill(path, bytes);
  for (const engine of choices) {
    const running = await startService(t, { regions: [{ name: 'file.bin', path }], engine });
    const listed = await listedBy(running);
    assert.deepEqual([listed.backing, listed.size], ['hugetlb', bytes.length]);
    checkEngine(engine, listed);
    const known = { size: bytes.length, from: 0, bytes };
    await checkRanges(t, running, known);
    await checkTail(t, running, known);
    await untilNothingHeld(running);
    await running.close();
  }
});
