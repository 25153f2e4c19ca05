/** nginx in front, with its slice module: it asks for a mebibyte at a time and keeps what it gets. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { renameSync } from 'node:fs';
import { dirname } from 'node:path';
import type { TestContext } from 'node:test';
import { clientTest, program, type Served, untilNothingHeld } from '../support/client-tools.ts';
import { fetchByUndici } from '../support/clients.ts';
import { outcomesOf } from '../support/holds.ts';
import { type Nginx, startNginx, stopNginx } from '../support/nginx.ts';
import { RawClient } from '../support/raw.ts';
import { bytesOf, sha256OfFile, writeRegion } from '../support/regions.ts';

const nginx = program('nginx', 'nginx-light');
const mebibyte = 1 << 20;
// nginx asks by the name of its upstream.
const content = { allowHosts: ['pagerelay'] };

function rangesOf(size: number): [number, number][] {
  return [
    [0, 0],
    [mebibyte - 1, mebibyte],
    [100, 299],
    [5 * mebibyte, 6 * mebibyte - 1],
    [10 * mebibyte + 4001, 17 * mebibyte + 3],
    [size - 5000, size - 1],
  ];
}

async function checkRanges(t: TestContext, { port }: Nginx, { file: { name, path, size } }: Served): Promise<void> {
  for (const [first, last] of rangesOf(size)) {
    const got = await fetchByUndici(t, { port, name, range: `${first}-${last}` });
    assert.deepEqual(got, { status: 206, sha256: sha256OfFile(path, first, last) }, `${first}-${last}`);
  }
}

async function sentBy(served: Served): Promise<number> {
  await untilNothingHeld(served);
  return outcomesOf(served.service).complete ?? 0;
}

clientTest(
  'nginx puts ranges together from slices, and answers them again without asking',
  [nginx],
  async (t, served) => {
    const proxy = await startNginx(t, nginx, served.port, 'for-an-hour');
    await checkRanges(t, proxy, served);
    const sent = await sentBy(served);
    assert.equal(sent, 13, 'one response for each slice that was needed');
    await checkRanges(t, proxy, served);
    assert.equal(await sentBy(served), sent);
    const whole = await fetchByUndici(t, { port: proxy.port, name: served.file.name, range: undefined });
    assert.deepEqual(whole, { status: 200, sha256: served.sha256 });
    assert.equal(await sentBy(served), Math.ceil(served.file.size / mebibyte));
    await stopNginx(proxy);
  },
  content,
);

clientTest(
  'nginx keeps nothing by default: what others replace is new to the next client',
  [nginx],
  async (t, served) => {
    const { name, path, size } = served.file;
    const proxy = await startNginx(t, nginx, served.port, 'as-told');
    for (const seed of [66, 67]) {
      renameSync(writeRegion(dirname(path), 'next.bin', size, seed).path, path);
      const expected = { status: 206, sha256: sha256OfFile(path, 100, 299) };
      assert.deepEqual(await fetchByUndici(t, { port: proxy.port, name, range: '100-299' }), expected);
    }
    await stopNginx(proxy); // It may break off the rest of a slice that nobody wants.
    await untilNothingHeld(served);
    const outcomes = Object.values(outcomesOf(served.service));
    assert.equal(
      outcomes.reduce((sum, count) => sum + count, 0),
      2,
      'it has asked for each',
    );
  },
  content,
);

clientTest(
  'nginx breaks off rather than mix slices of a region that was replaced',
  [nginx],
  async (t, served) => {
    const { name, path, size } = served.file;
    const proxy = await startNginx(t, nginx, served.port, 'for-an-hour');
    const before = bytesOf(path, 0, mebibyte - 1);
    await fetchByUndici(t, { port: proxy.port, name, range: '0-99' });
    renameSync(writeRegion(dirname(path), 'next.bin', size, 65).path, path);

    const client = await RawClient.connect(t, proxy.port);
    client.get(`/regions/${name}`, `0-${3 * mebibyte - 1}`);
    assert.equal((await client.head()).status, 206);
    const { bytes, sha256 } = await client.rest();
    assert.ok(bytes <= mebibyte, `${bytes} bytes`);
    assert.equal(sha256, createHash('sha256').update(before.subarray(0, bytes)).digest('hex'));
    await stopNginx(proxy);
    assert.match(proxy.child.stderr(), /etag mismatch in slice response/);
  },
  content,
);
