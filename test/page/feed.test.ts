import assert from 'node:assert/strict';
import { on } from 'node:events';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Feed } from '../../src/page/feed.ts';
import { until } from '../support/poll.ts';

function countingFeed(still: (taken: number) => object = (n) => ({ n }), work = 0) {
  let taken = 0;
  const feed = new Feed(async () => {
    taken++;
    const end = performance.now() + work;
    while (performance.now() < end);
    return { still: still(taken), moving: () => ({ m: 1 }) };
  }, assert.ifError);
  return { feed, taken: () => taken };
}

function joined(feed: Feed): Readable {
  return feed.join() ?? assert.fail('there is room');
}

async function next(viewer: Readable): Promise<Record<string, unknown>> {
  for await (const [frame] of on(viewer, 'data')) {
    const [, data] = /^data: (\{.*\})\n\n$/.exec(String(frame)) ?? assert.fail(String(frame));
    return JSON.parse(data ?? '');
  }
  return assert.fail('no frame');
}

test('nothing is taken while nobody watches', async () => {
  const { feed, taken } = countingFeed();
  await delay(300);
  assert.equal(taken(), 0);
  const viewer = joined(feed);
  const { at, n, m } = await next(viewer);
  assert.deepEqual({ at: typeof at, n, m }, { at: 'number', n: 1, m: 1 });
  viewer.destroy();
  await until(() => feed.viewers === 0, 'the viewer has left');
  const before = taken();
  await delay(600);
  assert.equal(taken(), before);
});

test('all viewers get the same bytes, of one snapshot, at most four a second', async () => {
  const { feed, taken } = countingFeed();
  const frames: Buffer[][] = [[], [], []];
  const viewers = frames.map((list) => joined(feed).on('data', (frame: Buffer) => list.push(frame)));
  const began = performance.now();
  await until(() => taken() >= 4 && frames.every(({ length }) => length === taken()), 'four snapshots');
  for (const viewer of viewers) viewer.destroy();
  const most = 2 + Math.ceil((performance.now() - began) / 250);
  assert.ok(taken() <= most, `${taken()} snapshots, at most ${most}`);
  for (const [at, frame] of (frames[0] ?? []).entries()) {
    assert.equal(frames[1]?.[at], frame);
    assert.equal(frames[2]?.[at], frame);
  }
});

test('joining again and again takes no more snapshots', async () => {
  const { feed, taken } = countingFeed();
  const began = performance.now();
  for (let round = 0; round < 50; round++) {
    const viewer = joined(feed).resume();
    await delay(10);
    viewer.destroy();
    await delay(1);
  }
  const most = 1 + Math.ceil((performance.now() - began) / 250);
  assert.ok(taken() <= most, `${taken()} snapshots, at most ${most}`);
});

test('what stays the same is told once a second', async () => {
  const { feed, taken } = countingFeed(() => ({ same: true }));
  let frames = 0;
  const began = performance.now();
  const viewer = joined(feed).on('data', () => frames++);
  await until(() => taken() >= 7, 'seven snapshots');
  viewer.destroy();
  const most = 1 + Math.floor((performance.now() - began) / 1000);
  assert.ok(frames >= 1 && frames <= most, `${frames} frames of ${taken()}`);
});

test('snapshots that take long are taken seldom', async () => {
  const { feed, taken } = countingFeed((n) => ({ n }), 12); // 12 ms: every 4.8 s, once that is known
  const viewer = joined(feed).resume();
  await until(() => taken() === 4, 'that is known');
  await delay(1500);
  viewer.destroy();
  assert.equal(taken(), 4);
});

test('for a viewer that does not read, one snapshot is kept, not many', async () => {
  const { feed, taken } = countingFeed(() => ({ text: 'x'.repeat(10_000), at: performance.now() }));
  const slow = joined(feed);
  const quick = joined(feed).resume();
  await until(() => taken() >= 4, 'four snapshots');
  assert.ok(slow.readableLength < 11_000, `${slow.readableLength} bytes`);
  slow.destroy();
  quick.destroy();
});

test('there is an end to how many may watch', async () => {
  const { feed } = countingFeed();
  const viewers = Array.from({ length: 64 }, () => joined(feed));
  assert.equal(feed.join(), undefined);
  viewers[0]?.destroy();
  await until(() => feed.viewers === 63, 'one has left');
  assert.ok(feed.join());
  feed.close();
});

test('closing ends every stream, and nobody joins after', async () => {
  const { feed } = countingFeed();
  const viewer = joined(feed).resume();
  feed.close();
  await until(() => viewer.readableEnded, 'the stream has ended');
  assert.equal(feed.join(), undefined);
  await until(() => feed.viewers === 0, 'nobody is left');
});

test('when no snapshot can be taken the streams end, and the next viewers are told when it can', async () => {
  const failures: unknown[] = [];
  const failure = new Error('ENOMEM');
  const feed = new Feed(
    async () => {
      if (failures.length === 0) throw failure;
      return { still: { n: 1 }, moving: () => ({}) };
    },
    (error) => failures.push(error),
  );
  const viewer = joined(feed).resume();
  await until(() => viewer.readableEnded, 'the stream has ended');
  assert.deepEqual(failures, [failure]);
  await until(() => feed.viewers === 0, 'the viewer has left');
  const again = joined(feed);
  assert.equal((await next(again)).n, 1);
  again.destroy();
});
