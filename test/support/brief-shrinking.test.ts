import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shrunkBriefly } from './brief-shrinking.ts';
import { shrinkMilliseconds } from './limits.ts';

/** Fails for every list; gives how often it was tried, and the lists that it failed for. */
async function failFor(millisecondsEach: number): Promise<{ runs: number; failed: number[][]; told: unknown }> {
  let [now, runs] = [0, 0];
  const failed: number[][] = [];
  const clock = () => now;
  const check = shrunkBriefly(async (list: number[]) => {
    runs++;
    now += millisecondsEach;
    failed.push(list);
    assert.fail('wrong');
  }, clock);
  const lists = fc.array(fc.nat(), { minLength: 10, maxLength: 20 });
  const { counterexample } = await fc.check(fc.asyncProperty(lists, check));
  return { runs, failed, told: counterexample?.[0] };
}

test('a counterexample is told of when the time to shrink it is over, with the smallest that was found by then', async () => {
  const { runs, failed, told } = await failFor(shrinkMilliseconds / 4);
  assert.ok(runs > 1 && runs <= 5, `${runs} runs`);
  assert.deepEqual(told, failed.at(-1));
});

test('one that took longer than that to be found is told of as it is', async () => {
  const { runs, failed, told } = await failFor(shrinkMilliseconds + 1);
  assert.equal(runs, 1);
  assert.deepEqual(told, failed[0]);
});

test('one that is found fast is shrunk to the end', async () => {
  const { told } = await failFor(0);
  assert.deepEqual(
    told,
    Array.from({ length: 10 }, () => 0),
  );
});
