import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cellStates, drawPageMap, type HeldRange } from '../../src/page/page-map.ts';

const { sent, unsent, quarantined, leased } = cellStates;
const page = 4096;

test('a region of few pages has a cell for each', () => {
  assert.deepEqual(drawPageMap(3 * page + 1, page, [], 256), { cells: 4, cellBytes: page, runs: [] });
  assert.deepEqual(drawPageMap(0, page, [], 256), { cells: 1, cellBytes: page, runs: [] });
});

test('cells of a large region are whole pages, and no more than was asked for', () => {
  assert.deepEqual(drawPageMap(1000 * page, page, [], 256), { cells: 250, cellBytes: 4 * page, runs: [] });
  const huge = drawPageMap(400e9, 2 << 20, [], 1024);
  assert.equal(huge.cellBytes % (2 << 20), 0);
  assert.ok(huge.cells <= 1024);
});

test('a byte lights the cell that it is in', () => {
  const at = (first: number, last: number) => drawPageMap(8 * page, page, [{ first, last, state: unsent }], 8).runs;
  assert.deepEqual(at(0, 0), [0, 1, unsent]);
  assert.deepEqual(at(page - 1, page), [0, 2, unsent]);
  assert.deepEqual(at(8 * page - 1, 8 * page - 1), [7, 1, unsent]);
});

test('of what overlaps, the strongest is shown', () => {
  const held: HeldRange[] = [
    { first: 0, last: 8 * page - 1, state: sent },
    { first: page, last: 3 * page - 1, state: unsent },
    { first: 2 * page, last: 2 * page, state: quarantined },
    { first: 7 * page, last: 7 * page, state: leased },
  ];
  const runs = [0, 1, sent, 1, 1, unsent, 2, 1, quarantined, 3, 4, sent, 7, 1, leased];
  assert.deepEqual(drawPageMap(8 * page, page, held, 8).runs, runs);
});

test('what lies behind the end, of a longer generation before, is cut', () => {
  const held: HeldRange[] = [
    { first: 7 * page, last: 99 * page, state: sent },
    { first: 50 * page, last: 60 * page, state: unsent },
  ];
  assert.deepEqual(drawPageMap(8 * page, page, held, 8).runs, [7, 1, sent]);
});

test('a map is what looking at each cell by itself gives', () => {
  const state = fc.constantFrom(sent, unsent, quarantined, leased);
  const range = fc.tuple(fc.nat(99_999), fc.nat(99_999), state).map(([a, b, each]) => {
    return { first: Math.min(a, b), last: Math.max(a, b), state: each };
  });
  fc.assert(
    fc.property(fc.array(range, { maxLength: 8 }), fc.integer({ min: 1, max: 64 }), (held, most) => {
      const { cells, cellBytes, runs } = drawPageMap(100_000, 1000, held, most);
      const shown = new Array<number>(cells).fill(0);
      for (let at = 0; at < runs.length; at += 3) {
        shown.fill(runs[at + 2] ?? 0, runs[at], (runs[at] ?? 0) + (runs[at + 1] ?? 0));
      }
      const expected = shown.map((_, cell) => {
        const inside = held.filter(({ first, last }) => first < (cell + 1) * cellBytes && last >= cell * cellBytes);
        return Math.max(0, ...inside.map((each) => each.state));
      });
      assert.deepEqual(shown, expected);
    }),
  );
});
