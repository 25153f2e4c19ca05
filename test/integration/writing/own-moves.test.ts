/** Files whose ctime the service itself moves, by giving and taking names: that changes no entity-tag. */
import assert from 'node:assert/strict';
import { linkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { RawClient } from '../../support/raw.ts';
import { makeFolder, type Place, seededBytes, writeRegion } from '../../support/regions.ts';
import { externalChangesIn, put, read, send, startWritable, type Writable } from '../../support/writable.ts';

const size = 100_000;
const places: readonly Place[] = ['tmpfs', 'ext4'];

/** What takes the name `a` from a file that is called `b` as well. */
const takings: Readonly<Record<string, (t: TestContext, running: Writable) => Promise<unknown>>> = {
  replaced: (t, running) => put(t, running, 'a', seededBytes(size, 2)),
  deleted: async (t, running) => {
    const { status } = await send(t, running, { method: 'DELETE', path: '/regions/a' });
    assert.equal(status, 204);
  },
};

async function twoNames(t: TestContext, place: Place): Promise<{ running: Writable; dir: string }> {
  const dir = makeFolder(t, place);
  linkSync(writeRegion(dir, 'a', size, 1).path, join(dir, 'b'));
  return { running: await startWritable(t, place, { dir }), dir };
}

for (const place of places) {
  for (const [taken, take] of Object.entries(takings)) {
    test(`the other name of a file that is ${taken} on ${place} keeps its entity-tag, also after a restart`, async (t) => {
      const { running, dir } = await twoNames(t, place);
      const before = await read(t, running, 'b');
      await take(t, running);
      assert.deepEqual(await read(t, running, 'b'), before);
      assert.equal(externalChangesIn(running), 0);
      await running.close();
      const again = await startWritable(t, place, { dir });
      assert.deepEqual(await read(t, again, 'b'), before);
    });
  }

  test(`and while a reader holds the pages of the file that was replaced, on ${place}`, async (t) => {
    const { running } = await twoNames(t, place);
    const before = await read(t, running, 'b');
    const slow = await RawClient.connect(t, running.port);
    slow.get('/regions/a');
    await slow.head();
    await put(t, running, 'a', seededBytes(size, 2));
    assert.deepEqual(await read(t, running, 'b'), before);
    await slow.hash(size);
    slow.destroy();
    assert.deepEqual(await read(t, running, 'b'), before);
  });

  test(`a region that was made keeps its entity-tag and media type over a restart, on ${place}`, async (t) => {
    const dir = makeFolder(t, place);
    const running = await startWritable(t, place, { dir });
    const fields = { 'content-type': 'text/x-mine' };
    const made = await send(t, running, { method: 'PUT', path: '/regions/a', body: seededBytes(10, 1), fields });
    const etag = made.fields.get('etag');
    for (const service of [running, undefined]) {
      const now = service ?? (await startWritable(t, place, { dir }));
      const found = await send(t, now, { method: 'GET', path: '/regions/a' });
      assert.deepEqual([found.fields.get('etag'), found.fields.get('content-type')], [etag, 'text/x-mine']);
      await now.close();
    }
  });
}
