import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Quota } from '../../../src/region/change/quota.ts';
import { Refusal } from '../../../src/region/change/refusal.ts';

const isFull = (error: unknown) => error instanceof Refusal && error.code === 'no-space';

test('what does not fit is refused, and nothing of it is counted', () => {
  const quota = new Quota(100);
  quota.take(60);
  assert.throws(() => quota.take(41), isFull);
  assert.throws(() => quota.check(41), isFull);
  quota.take(40);
  assert.equal(quota.used, 100);
  quota.give(50);
  quota.take(50);
});

test('what is there already counts, even beyond the quota', () => {
  const quota = new Quota(10);
  quota.set('a', 25);
  assert.equal(quota.used, 25);
  assert.throws(() => quota.take(1), isFull);
});

test('taking and giving never goes beyond the quota nor below nothing', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.array(fc.tuple(fc.boolean(), fc.nat(500))), (most, steps) => {
      const quota = new Quota(most);
      for (const [takes, bytes] of steps) {
        try {
          if (takes) quota.take(bytes);
          else quota.give(Math.min(bytes, quota.used));
        } catch (error) {
          assert.ok(isFull(error));
        }
        assert.ok(quota.used >= 0 && quota.used <= most);
      }
    }),
  );
});

test('a region counts with its size, whatever it was before', () => {
  const quota = new Quota(100);
  quota.set('a', 60);
  quota.set('a', 80);
  assert.throws(() => quota.checkSize('b', 21), isFull);
  quota.checkSize('a', 100);
  quota.set('a', undefined);
  quota.set('a', undefined);
  assert.equal(quota.used, 0);
});
