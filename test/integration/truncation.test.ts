/** A file that becomes shorter while it is sent: a short body and an error, never padding or another response's bytes. */
import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../src/relay/relay.ts';
import { inTurn } from '../support/amount.ts';
import { everyEngine } from '../support/engines.ts';
import { outcomesOf, untilReturned, warmUp } from '../support/holds.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, type Place, seededBytes, sha256, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';

const mebibyte = 1 << 20;
const size = 24 * mebibyte;
const readBefore = mebibyte;

const original = seededBytes(size, 41);

/** What is left of the file, far behind what the kernel's queues hold by then. */
const cuts = { 'to nothing': 0, 'inside a page': 18 * mebibyte + 100, 'at a page': 18 * mebibyte } as const;

const places: readonly Place[] = ['tmpfs', 'ext4'];

async function cutWhileSending(t: TestContext, engine: Engine, place: Place, newSize: number): Promise<void> {
  const folder = makeFolder(t, place);
  const file = writeRegion(folder, 'cut.bin', size, 41);
  const other = writeRegion(folder, 'other.bin', mebibyte, 42);
  const running = await startService(t, { engine, regions: [file, other] });
  const before = await warmUp(t, running, 'cut.bin');
  const client = await RawClient.connect(t, running.port);
  client.get('/regions/cut.bin');
  client.get('/regions/other.bin');
  const head = await client.head();
  assert.equal(head.fields.get('content-length'), String(size));
  const start = await client.take(readBefore);
  assert.ok(start.equals(original.subarray(0, readBefore)));

  truncateSync(file.path, newSize);
  const rest = await client.rest();
  const got = readBefore + rest.bytes;
  assert.ok(got < size, `${got} bytes: the body is short`);
  assert.ok(newSize === 0 || got <= newSize, `${got} bytes: nothing beyond the new end`);
  assert.equal(rest.sha256, sha256(original.subarray(readBefore, got)), 'what came is what was there');
  client.destroy();

  await untilReturned(running, before);
  assert.deepEqual(outcomesOf(running.service), { complete: 1, truncated: 1 });
  await goesOn(t, running.port, newSize);
}

async function goesOn(t: TestContext, port: number, newSize: number): Promise<void> {
  const next = await RawClient.connect(t, port);
  next.get('/regions/cut.bin');
  const { status, body } = await next.response();
  assert.deepEqual([status, body.length], [200, newSize]);
  next.get('/regions/other.bin');
  assert.equal(sha256((await next.response()).body), sha256(seededBytes(mebibyte, 42)));
  next.destroy();
}

for (const [at, engine] of everyEngine.entries()) {
  for (const [cut, newSize] of Object.entries(cuts)) {
    for (const place of inTurn(places, at)) {
      test(`cut ${cut} while it is sent from ${place} by ${engine}`, (t) => cutWhileSending(t, engine, place, newSize));
    }
  }
}
