/** Bandwidth of bodies that are read in this process. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bucket, Paces } from '../../src/relay/pace.ts';

const file = (inode: number) => ({ device: 1, inode });

test('a bucket holds a fifth of a second, and what is owed is waited for', () => {
  const bucket = new Bucket(1000);
  assert.equal(bucket.wait(5000), 0);
  bucket.take(200, 5000);
  assert.equal(bucket.wait(5000), 0);
  bucket.take(300, 5000);
  assert.equal(bucket.wait(5000), 300);
  assert.equal(bucket.wait(5300), 0);
  bucket.take(1200, 50_000);
  assert.equal(bucket.wait(50_000), 1000, 'it holds no more than that');
});

test('where nothing is limited there is nothing to wait for', () => {
  assert.equal(new Paces().of({}, file(1)), undefined);
  assert.equal(new Paces({ bandwidthPerConnection: 5 }).of(null, file(1)), undefined);
});

test('bodies of one connection, and of one region, share what they have', async () => {
  const paces = new Paces({ bandwidthPerConnection: 10_000_000, bandwidthPerRegion: 1000 });
  const [connection, other] = [{}, {}];
  const region = file(1);
  paces.of(connection, region)?.sent(250);
  for (const [from, of, waits] of [
    [other, file(1), true],
    [connection, file(2), false],
  ] as const) {
    const pace = paces.of(from, of) ?? assert.fail();
    const ready = pace.ready();
    assert.equal(pace.isWaiting, waits);
    await ready;
    assert.equal(pace.isWaiting, false);
  }
});

test('little is read at a time where little may go out', () => {
  const atOnce = (rate: number) => new Paces({ bandwidthPerRegion: rate }).of({}, file(1))?.atOnce;
  assert.deepEqual([atOnce(1), atOnce(100_000), atOnce(1e9)], [1024, 10_000, 65_536]);
});
