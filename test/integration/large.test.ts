/** The size of regions costs no address space: any number of them, of any size, is served. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { amount } from '../support/amount.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder } from '../support/regions.ts';
import { startService } from '../support/service.ts';

const tebibyte = 2 ** 40;
const count = amount(2000, 10_000);

const mappingsOf = (folder: string) =>
  readFileSync('/proc/self/maps', 'latin1')
    .split('\n')
    .filter((line) => line.includes(folder)).length;
const nameOf = (index: number) => `${index % 100}/${index}`;

function makeRegions(folder: string): void {
  for (let group = 0; group < 100; group++) mkdirSync(join(folder, String(group)));
  for (let index = 0; index < count; index++) {
    const fd = openSync(join(folder, nameOf(index)), 'w');
    ftruncateSync(fd, 2 * tebibyte);
    closeSync(fd);
  }
}

test(`${count} sparse regions of 2 TiB are listed and answered for`, async (t) => {
  const folder = makeFolder(t, 'tmpfs');
  makeRegions(folder);
  const { port, origin } = await startService(t, { dir: folder });
  const client = await RawClient.connect(t, port);
  for (let index = 0; index < count; index++) {
    client.get(`/regions/${nameOf(index)}`, `${tebibyte}-${tebibyte + 511}`);
    const { status, fields, body } = await client.response();
    assert.equal(status, 206, nameOf(index));
    assert.equal(fields.get('content-range'), `bytes ${tebibyte}-${tebibyte + 511}/${2 * tebibyte}`);
    assert.ok(body.equals(Buffer.alloc(512)));
  }
  assert.equal(mappingsOf(folder), 0);
  assert.equal(await listed(origin), count);
});

async function listed(origin: string): Promise<number> {
  const sizes: number[] = [];
  for (let next: string | undefined = '/regions'; next !== undefined; ) {
    const answer: Response = await fetch(new URL(next, `${origin}/regions`));
    assert.equal(answer.status, 200);
    const { regions } = (await answer.json()) as { regions: { size: number }[] };
    sizes.push(...regions.map(({ size }) => size));
    next = /<([^>]+)>; *rel="next"/.exec(answer.headers.get('link') ?? '')?.[1];
  }
  assert.ok(sizes.every((size) => size === 2 * tebibyte));
  return sizes.length;
}

test('of a file of 7 EiB the first 2^53 - 1 bytes are served', async (t) => {
  const folder = makeFolder(t, 'tmpfs');
  writeFileSync(join(folder, 'enormous'), 'begins');
  execFileSync('truncate', ['-s', String(7n * 2n ** 60n), join(folder, 'enormous')]);
  for (const engine of ['auto', 'splice', 'copy', 'zerocopy', 'stream'] as const) {
    const { port, origin } = await startService(t, { dir: folder, engine });
    const { regions } = (await (await fetch(`${origin}/regions`)).json()) as { regions: { size: number }[] };
    assert.deepEqual(
      regions.map((region) => region.size),
      [Number.MAX_SAFE_INTEGER],
    );
    const client = await RawClient.connect(t, port);
    const size = Number.MAX_SAFE_INTEGER;
    for (const [asked, first, last] of [
      ['0-511', 0, 511],
      [`${2 ** 52}-${2 ** 52 + 99_999}`, 2 ** 52, 2 ** 52 + 99_999],
      ['-300000', size - 300_000, size - 1],
    ] as const) {
      client.get('/regions/enormous', asked);
      const { status, fields, body } = await client.response();
      assert.deepEqual([status, fields.get('content-range')], [206, `bytes ${first}-${last}/${size}`]);
      const expected = Buffer.alloc(last - first + 1);
      if (first === 0) expected.write('begins');
      assert.ok(body.equals(expected), `${engine}, ${asked}`);
    }
  }
});
