/** Requests that are too slow, too long or of too many ranges, to lanes and to Node: what they get, and that others are served. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { bytesOf, makeFolder, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';

const size = 65_536;
const path = '/regions/file.bin';
const limits = { headTimeout: 1, maxHeadSize: 2048, maxUrlSize: 200, maxRanges: 3 };

async function serve(t: TestContext, express: boolean) {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 271);
  const running = await startService(t, { express, regions: [file], ...limits });
  const { metrics, relay } = running.service.app.pagerelay;
  const other = await RawClient.connect(t, running.port);
  return {
    content: bytesOf(file.path, 0, size - 1),
    visit: () => RawClient.connect(t, running.port),
    counted: (reason: 'head_timeout' | 'head_size' | 'url_size' | 'ranges') =>
      metrics.limited(relay.counters())[reason],
    async serveOthers() {
      other.get(path, '5-104');
      assert.equal((await other.response()).status, 206);
    },
    async leave(...clients: readonly RawClient[]) {
      for (const client of [...clients, other]) client.destroy();
      const isQuiet = () => relay.counters().connections === 0 && relay.counters().references === 0;
      await until(isQuiet, 'all is given back', () => relay.counters());
    },
  };
}

/** A path that leads to the region, in so many bytes. */
function pathOf(length: number): string {
  const short = '/regions/file.bin?';
  return short + 'a'.repeat(length - short.length);
}

/** A request whose head has so many bytes. */
function headOf(length: number): string {
  const [before, behind] = [`GET ${path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-0\r\nX: `, '\r\n\r\n'];
  return before + 'x'.repeat(length - before.length - behind.length) + behind;
}

for (const [who, express] of Object.entries({ lanes: true, Node: false })) {
  test(`heads that are slow, too long, or of too many ranges, where ${who} read${express ? '' : 's'} them`, async (t) => {
    const { content, counted, leave, serveOthers, visit } = await serve(t, express);

    const slow = [await visit(), await visit(), await visit()];
    for (const client of slow) client.write(`GET ${path} HTTP/1.1\r\nHost: loc`);

    const long = await visit();
    for (const [length, expected] of [[200, [206, 0]] as const, [201, [414, 1]] as const, [200, [206, 1]] as const]) {
      long.get(pathOf(length), '0-0');
      assert.deepEqual([(await long.response()).status, counted('url_size')], expected);
    }
    await serveOthers();

    const ranged = await visit();
    for (const [range, expected] of [
      ['0-0,2-2,4-4', [206, 0]] as const,
      ['0-0,2-2,4-4,6-6', [200, 1]] as const,
      ['0-0,1-1,2-2,3-3', [206, 1]] as const, // These touch, and are one.
    ]) {
      ranged.get(path, range);
      const { status, body } = await ranged.response();
      assert.deepEqual([status, counted('ranges')], expected);
      if (status === 200) assert.ok(body.equals(content));
    }
    await serveOthers();

    const large = await visit();
    large.write(headOf(1900));
    assert.equal((await large.response()).status, 206);
    large.write(headOf(4000));
    assert.equal((await large.response()).status, 431);
    assert.equal((await large.rest()).bytes, 0);
    assert.equal(counted('head_size'), 1);
    await serveOthers();

    for (const client of slow) {
      const { status, body } = await client.response();
      assert.deepEqual([status, JSON.parse(body.toString()).code], [408, 'request-timeout']);
      assert.equal((await client.rest()).bytes, 0);
    }
    assert.equal(counted('head_timeout'), 3);
    await serveOthers();
    await leave(long, ranged, large, ...slow);
  });
}
