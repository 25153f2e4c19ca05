import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryReserve } from '../../src/node/memory-reserve.ts';

const mebibyte = 2 ** 20;

/** What is told while so much is left, one look after the other. */
function toldWith(given: number | undefined, all: number, lefts: readonly (number | undefined)[]): boolean[] {
  const told: boolean[] = [];
  let left: number | undefined;
  const look = () => (left === undefined ? undefined : { all, left });
  const reserve = new MemoryReserve(given, (isShort) => told.push(isShort), look);
  for (left of lefts) reserve.look();
  return told;
}

test('it is told when memory becomes short, and when it no longer is', () => {
  assert.deepEqual(toldWith(100, 1000, [500, 100, 99, 50, 100, 1]), [true, false, true]);
});

test('by default a sixteenth is kept, at most 64 MiB', () => {
  assert.deepEqual(toldWith(undefined, 160, [10, 9.9]), [true]);
  assert.deepEqual(toldWith(undefined, 2 ** 40, [64 * mebibyte, 64 * mebibyte - 1]), [true]);
});

test('what nobody can tell is not short', () => {
  assert.deepEqual(toldWith(100, 1000, [undefined, 99, undefined]), [true, false]);
});
