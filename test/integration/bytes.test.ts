/** Every byte is right: all clients, all engines, all kinds of range. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { amount, inTurn } from '../support/amount.ts';
import { clients } from '../support/clients.ts';
import { everyEngine } from '../support/engines.ts';
import {
  makeFolder,
  type RegionFile,
  sha256,
  sha256OfFile,
  writeRegion,
  writeSparseRegion,
} from '../support/regions.ts';
import { startService } from '../support/service.ts';

const mebibyte = 1 << 20;
const largeSize = amount(16 * mebibyte, 1 << 30);

/** First and last byte; what each case is there for. */
type Case = { readonly why: string; readonly first: number; readonly last: number };

function casesFor(size: number): Case[] {
  return [
    { why: 'the first byte', first: 0, last: 0 },
    { why: 'the last byte', first: size - 1, last: size - 1 },
    { why: 'inside a page', first: 100, last: 3999 },
    { why: 'across a page boundary by a byte on either side', first: 4095, last: 4096 },
    { why: 'one whole page', first: 8192, last: 12287 },
    { why: 'as much as goes out inline', first: 0, last: 65535 },
    { why: 'a byte more than goes out inline', first: 4096, last: 4096 + 65536 },
    { why: 'unaligned, one turn of a lane', first: 4001, last: 4000 + 65536 + 262144 },
    { why: 'several pipes and turns, unaligned', first: 1234567, last: 1234567 + 5 * mebibyte },
    { why: 'to the end', first: size - mebibyte - 3, last: size - 1 },
  ];
}

/** Each case by every client; where there is less time by one client, and by the next one where `nth` is the next number. */
async function checkCases(
  t: TestContext,
  port: number,
  file: RegionFile,
  cases: readonly Case[],
  nth: number,
): Promise<void> {
  for (const [at, { why, first, last }] of cases.entries()) {
    const expected = { status: 206, sha256: sha256OfFile(file.path, first, last) };
    for (const [client, fetch] of inTurn(Object.entries(clients), at + nth)) {
      const got = await fetch(t, { port, name: file.name, range: `${first}-${last}` });
      assert.deepEqual(got, expected, `${file.name}, ${client}: ${why}, ${first}-${last}`);
    }
  }
}

test('every client gets every byte of every range', async (t) => {
  const tmpfs = makeFolder(t, 'tmpfs');
  const large = writeSparseRegion(tmpfs, 'large.bin', largeSize);
  const regions = [
    writeRegion(tmpfs, 'tmpfs.bin', 16 * mebibyte + 4097, 11),
    writeRegion(makeFolder(t, 'ext4'), 'ext4.bin', 16 * mebibyte + 1, 12),
  ];
  const wholeOfLarge = sha256OfFile(large.path, 0, large.size - 1);

  for (const [nth, engine] of everyEngine.entries()) {
    await t.test(`by ${engine}`, async (t) => {
      const { port, service } = await startService(t, { engine, regions: [...regions, large] });
      for (const file of regions) {
        await t.test(`from ${file.name}`, async (t) => {
          await checkCases(t, port, file, casesFor(file.size), nth);
          const whole = { status: 200, sha256: sha256OfFile(file.path, 0, file.size - 1) };
          for (const [client, fetch] of inTurn(Object.entries(clients), nth)) {
            assert.deepEqual(await fetch(t, { port, name: file.name, range: undefined }), whole, client);
          }
        });
      }
      await t.test(`from a region of ${largeSize} bytes`, async (t) => {
        await checkCases(t, port, large, casesFor(large.size).slice(-2), nth);
        const whole = { status: 206, sha256: wholeOfLarge };
        assert.deepEqual(await clients.curl(t, { port, name: large.name, range: '0-' }), whole);
      });
      const sent = service.relay.counters().sentBytes;
      assert.ok(sent[engine] > largeSize, 'the engine that was asked for has sent them');
    });
  }

  await t.test(`undici and a bare socket get the whole of ${largeSize} bytes`, async (t) => {
    const { port } = await startService(t, { regions: [large], lanes: 3 });
    const whole = { status: 200, sha256: wholeOfLarge };
    assert.deepEqual(await clients.undici(t, { port, name: large.name, range: undefined }), whole);
    assert.deepEqual(await clients.raw(t, { port, name: large.name, range: undefined }), whole);
  });
});

test('regions of one byte, and of none', async (t) => {
  const folder = makeFolder(t, 'tmpfs');
  const one = writeRegion(folder, 'one', 1);
  const none = writeRegion(folder, 'none', 0);
  const { port } = await startService(t, { regions: [one, none] });
  for (const [client, fetch] of Object.entries(clients)) {
    const whole = { status: 200, sha256: sha256OfFile(one.path, 0, 0) };
    assert.deepEqual(await fetch(t, { port, name: 'one', range: undefined }), whole, client);
    const nothing = { status: 200, sha256: sha256(Buffer.alloc(0)) };
    assert.deepEqual(await fetch(t, { port, name: 'none', range: undefined }), nothing, client);
  }
});

test('app.inject() gets the same bytes without a socket', async (t) => {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', 3 * mebibyte + 5);
  for (const engine of everyEngine) {
    const { service } = await startService(t, { engine, regions: [file] });
    const range = await service.app.inject({ url: '/regions/file.bin', headers: { range: 'bytes=4095-2000000' } });
    assert.equal(range.statusCode, 206);
    assert.equal(range.headers['content-range'], `bytes 4095-2000000/${file.size}`);
    assert.equal(sha256(range.rawPayload), sha256OfFile(file.path, 4095, 2_000_000));
    const whole = await service.app.inject({ url: '/regions/file.bin' });
    assert.equal(sha256(whole.rawPayload), sha256OfFile(file.path, 0, file.size - 1));
    const head = await service.app.inject({ method: 'HEAD', url: '/regions/file.bin' });
    assert.deepEqual([head.statusCode, head.headers['content-length'], head.body], [200, String(file.size), '']);
    assert.deepEqual(service.relay.references().items, []);
  }
});
