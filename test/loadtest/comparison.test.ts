import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare } from '../../loadtest/report/comparison.ts';
import { sample } from './samples.ts';

test('a row is the median of its rounds', () => {
  const samples = [100, 300, 200].map((requests, at) => sample({ peer: 'a', round: at + 1, requests }));
  const row = compare(samples, 'a')[0]?.rows[0];
  assert.equal(row?.requestsPerSecond, 200);
  assert.equal(row?.megabytesPerSecond, (200 * 4096) / 1e6);
});

test('CPU is told per request and per gigabyte', () => {
  const row = compare([sample({ requests: 1000, cpuSeconds: 0.5 })], 'a')[0]?.rows[0];
  assert.equal(row?.cpuMicrosecondsPerRequest, 500);
  assert.ok(Math.abs((row?.cpuSecondsPerGigabyte ?? 0) - 0.5 / 0.004096) < 1e-9);
  assert.equal(row?.serverBusy, 0.5);
});

test('ratios are baseline over peer of the same round, whatever the order of the samples', () => {
  const samples = [
    sample({ peer: 'b', round: 2, requests: 400 }),
    sample({ peer: 'a', round: 1, requests: 100 }),
    sample({ peer: 'a', round: 2, requests: 200 }),
    sample({ peer: 'b', round: 1, requests: 50 }),
  ];
  const row = compare(samples, 'a')[0]?.rows.find(({ peer }) => peer === 'b');
  assert.deepEqual(row?.ratios?.requests, { median: 1.25, min: 0.5, max: 2 });
  assert.deepEqual(row?.ratios?.p99, { median: 1, min: 1, max: 1 });
});

test('the baseline has no ratio to itself', () => {
  assert.equal(compare([sample({ peer: 'a' })], 'a')[0]?.rows[0]?.ratios, undefined);
});

test('as do numbers of connections', () => {
  const samples = [1, 2000].flatMap((connections) => ['a', 'b'].map((peer) => sample({ peer, connections })));
  const tables = compare(samples, 'a').map(({ connections, rows }) => [connections, rows.length]);
  assert.deepEqual(tables, [
    [1, 2],
    [2000, 2],
  ]);
});

test('each size has a table of its own, with peers in the order of their turns', () => {
  const samples = [4096, 65536].flatMap((size) => ['a', 'b'].map((peer) => sample({ peer, size })));
  const tables = compare(samples, 'a').map(({ size, rows }) => [size, ...rows.map(({ peer }) => peer)]);
  assert.deepEqual(tables, [
    [4096, 'a', 'b'],
    [65536, 'a', 'b'],
  ]);
});
