import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Taking } from '../../src/node/least-rate.ts';

const least = { minRate: 100, minRateGrace: 10 };

test('who takes too little in a window is too slow, and who takes enough is not', () => {
  for (const [taken, isTooSlow] of [
    [999, true],
    [1000, false],
  ] as const) {
    const taking = new Taking(50);
    assert.equal(taking.isTooSlow(51, 3, least), false, 'the window opens');
    assert.equal(taking.isTooSlow(50 + taken, 12.9, least), false);
    assert.equal(taking.isTooSlow(50 + taken, 13, least), isTooSlow);
  }
});

test('who takes nothing has no window', () => {
  const taking = new Taking(0);
  for (let second = 0; second < 100; second++) assert.equal(taking.isTooSlow(0, second, least), false);
  assert.equal(taking.isTooSlow(5000, 100, least), false);
  assert.equal(taking.isTooSlow(5000, 110, least), false, 'what opened it counts');
  assert.equal(taking.isTooSlow(5000, 200, least), false, 'and nothing was taken since');
});

test('what was taken before a rest does not count', () => {
  const taking = new Taking(0);
  taking.isTooSlow(1, 0, least);
  taking.rest(1);
  assert.equal(taking.isTooSlow(1, 50, least), false);
  assert.equal(taking.isTooSlow(2, 51, least), false);
  assert.equal(taking.isTooSlow(500, 61, least), true);
});
