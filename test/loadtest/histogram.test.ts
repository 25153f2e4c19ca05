import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketOf, Histogram } from '../../loadtest/clients/histogram.ts';

test('small values have a bucket of their own, large ones one that is 1.6 % wide at most', () => {
  for (const value of [0, 1, 64, 127]) assert.equal(bucketOf(value), value);
  for (let value = 128; value < 1e9; value = Math.ceil(value * 1.37)) {
    const bound = bucketOf(value);
    assert.ok(bound <= value && (value - bound) / value < 0.016, `${value} in ${bound}`);
  }
});

test('quantiles are those of the values', () => {
  const histogram = new Histogram();
  for (let value = 1; value <= 100; value++) histogram.record(value);
  assert.deepEqual(
    [0.5, 0.9, 0.99, 1].map((share) => histogram.quantile(share)),
    [50, 90, 99, 100],
  );
  assert.equal(histogram.max, 100);
  assert.ok(Number.isNaN(new Histogram().quantile(0.5)));
});

test('histograms add up, through JSON', () => {
  const [a, b] = [new Histogram(), new Histogram()];
  for (let value = 0; value < 1000; value++) (value % 2 ? a : b).record(value * 17);
  const parts = [a, b].map((part) => JSON.parse(JSON.stringify(part)));
  const sum = Histogram.from(parts);
  assert.equal(sum.count, 1000);
  assert.equal(sum.max, 999 * 17);
  assert.equal(sum.quantile(0.5), bucketOf(499 * 17));
});
