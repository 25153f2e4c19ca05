import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addLatencies, encodeLatency, newLatency, percentile, recordLatency } from '../../loadtest/clients/latency.ts';
import { median, ratios, spreadOf } from '../../loadtest/report/statistics.ts';

test('the median is the middle value, and the mean of the two in the middle of an even number', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([10, 1, 2, 100]), 6);
  assert.equal(median([7]), 7);
  assert.ok(Number.isNaN(median([])));
});

test('the median orders numbers as numbers and leaves its input alone', () => {
  const values = [100, 9, 20];
  assert.equal(median(values), 20);
  assert.deepEqual(values, [100, 9, 20]);
});

test('a spread is the median between the smallest and the largest value', () => {
  assert.deepEqual(spreadOf([3, 1, 2]), { median: 2, min: 1, max: 3 });
});

test('ratios are taken round by round', () => {
  assert.deepEqual(ratios([10, 40], [5, 10]), [2, 4]);
});

test('a round that only one side has run gives no ratio', () => {
  assert.deepEqual(ratios([10, 40], [5]), [2]);
  assert.deepEqual(ratios([10], [5, 10]), [2]);
});

test('latencies of several rounds add up, within a thousandth, also after a journey as text', () => {
  const [odd, even] = [1, 0].map((rest) => {
    const latency = newLatency();
    for (let at = 1; at <= 10_000; at++) if (at % 2 === rest) recordLatency(latency, at);
    return encodeLatency(latency);
  });
  const both = addLatencies([odd ?? '', even ?? '']);
  assert.equal(both.totalCount, 10_000);
  for (const share of [50, 99, 99.9]) assert.ok(Math.abs(percentile(both, share) / (share * 100) - 1) < 0.001);
  assert.ok(Number.isNaN(percentile(newLatency(), 50)));
});
