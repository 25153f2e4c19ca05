import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, quantile, ratios, spreadOf } from '../../loadtest/report/statistics.ts';

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

test('a quantile is the smallest value that enough values do not exceed', () => {
  const values = [5, 3, 1, 4, 2];
  assert.deepEqual(
    [0, 0.2, 0.21, 0.5, 0.99, 1].map((share) => quantile(values, share)),
    [1, 1, 2, 3, 5, 5],
  );
  assert.equal(quantile([9, 100, 20], 0.5), 20);
  assert.ok(Number.isNaN(quantile([], 0.5)));
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
