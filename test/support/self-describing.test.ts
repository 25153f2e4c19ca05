import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describePages, notUniform, pageSize, stampOf, stampsOf, zeros } from './self-describing.ts';

const page = (number: number, stamp: number) => describePages(number, 1, 3, stamp);

test('a page tells its stamp', () => {
  assert.deepEqual(stampsOf(describePages(70, 3, 1, 9), 70), [9, 9, 9]);
  assert.equal(stampOf(page(0, 2 ** 32), 0), 2 ** 32);
});

test('only whole pages are read', () => {
  assert.deepEqual(stampsOf(describePages(5, 2, 1, 8).subarray(0, 2 * pageSize - 1), 5), [8]);
  assert.deepEqual(stampsOf(Buffer.alloc(0), 0), []);
});

test('a page that is mixed, or another page, is not uniform; one of zeros is told apart', () => {
  for (const at of [64, 100, 2048, pageSize - 64]) {
    const mixed = Buffer.concat([page(4, 1).subarray(0, at), page(4, 2).subarray(at)]);
    assert.equal(stampOf(mixed, 4), notUniform, `cut at ${at}`);
  }
  const changed = page(4, 1);
  changed[3000] = 0;
  for (const bytes of [changed, page(5, 1)]) assert.equal(stampOf(bytes, 4), notUniform);
  const partly = Buffer.concat([Buffer.alloc(2048), page(4, 1).subarray(2048)]);
  assert.equal(stampOf(partly, 4), notUniform);
  assert.equal(stampOf(Buffer.alloc(pageSize), 4), zeros);
});
