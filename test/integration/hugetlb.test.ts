/** Regions of huge pages: every byte by every engine, and an engine that can't read them gives way. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { everyEngine } from '../support/engines.ts';
import { addHugePages, hugePage, makeHugeFolder, writeHugeFile } from '../support/huge-pages.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { seededBytes } from '../support/regions.ts';
import { startService } from '../support/service.ts';
import { suiteScope } from '../support/suite-scope.ts';

const pages = 4;
const size = pages * hugePage;
const content = seededBytes(size, 151);
const scope = suiteScope();
const region = { name: 'huge', path: '' };
let missing: string | undefined;

// The last page is for the witness's experiments.
before(() => {
  missing = addHugePages(scope, pages + 1);
  if (missing) return;
  const made = makeHugeFolder(scope);
  if ('missing' in made) {
    missing = made.missing;
    return;
  }
  region.path = join(made.folder, 'region');
  writeHugeFile(region.path, content);
});

type Listed = Readonly<Record<string, unknown>>;

const listed = async (origin: string) => {
  const answer = (await (await fetch(`${origin}/regions`)).json()) as { regions: Listed[] };
  return answer.regions[0] ?? {};
};

const ranges = [
  [0, 0],
  [1, 4096],
  [hugePage - 1, hugePage],
  [hugePage - 4097, hugePage + 12_345],
  [12_345, 3 * hugePage + 54_321],
  [hugePage, 2 * hugePage - 1],
  [size - 7, size - 1],
  [0, size - 1],
] as const;

for (const engine of ['auto', ...everyEngine] as const) {
  test(`ranges of huge pages are byte for byte right with --engine ${engine}`, async (t) => {
    if (missing) return t.skip(missing);
    const { port, service } = await startService(t, { engine, regions: [region] });
    const client = await RawClient.connect(t, port);
    for (const [first, last] of ranges) {
      client.get('/regions/huge', `${first}-${last}`);
      const { status, fields, body } = await client.response();
      assert.deepEqual([status, fields.get('content-range')], [206, `bytes ${first}-${last}/${size}`]);
      assert.ok(body.equals(content.subarray(first, last + 1)), `${first}-${last}`);
    }
    await until(() => service.relay.references().items.length === 0, 'nothing is held');
  });
}

test('a listing tells the size from the file, and what sends it', async (t) => {
  if (missing) return t.skip(missing);
  const { origin } = await startService(t, { regions: [region] });
  const { size: told, backing, engine, copyFree, engineBecause } = await listed(origin);
  assert.deepEqual([told, backing, engine, copyFree], [size, 'hugetlb', 'splice', true]);
  assert.match(String(engineBecause), /seen to send pages of hugetlb without a copy/);
});

test('sendfile, which knows no huge pages, gives way to an engine that does', async (t) => {
  if (missing) return t.skip(missing);
  const { origin, service } = await startService(t, { engine: 'sendfile', regions: [region] });
  const { engine, engineBecause } = await listed(origin);
  assert.equal(engine, 'splice');
  assert.match(String(engineBecause), /sendfile can not read hugetlb/);
  const answer = await fetch(`${origin}/regions/huge`, { headers: { range: 'bytes=5-1000004' } });
  assert.equal(answer.status, 206);
  assert.ok(Buffer.from(await answer.arrayBuffer()).equals(content.subarray(5, 1_000_005)));
  const { sentBytes, copiedBytes } = service.relay.counters();
  assert.deepEqual([sentBytes.splice, sentBytes.sendfile, copiedBytes.splice], [1_000_000, 0, 0]);
});

test('a part of a huge page keeps all of it held', async (t) => {
  if (missing) return t.skip(missing);
  const { port, service } = await startService(t, { regions: [region] });
  const client = await RawClient.connect(t, port);
  client.get('/regions/huge', `${hugePage - 10}-${hugePage + 9}`);
  await until(() => service.relay.references().items[0]?.state === 'sent', 'it is sent and not read');
  const [reference] = service.relay.references().items;
  assert.deepEqual([reference?.first, reference?.last, reference?.bytes], [hugePage - 10, hugePage + 9, 20]);
  await client.response();
  await until(() => service.relay.references().items.length === 0, 'it is read');
});
