/** Hand-made histories: what may be, and what may not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notUniform } from './self-describing.ts';
import { findFaults, type PageWrite, type Seen, versionOf } from './snapshots.ts';

type Pages = readonly [firstPage: number, pages: number];
type Times = readonly [sent: number, done: number | undefined];

const write = (stamp: number, [firstPage, pages]: Pages, [sent, done]: Times, version = stamp): PageWrite => {
  return {
    stamp,
    firstPage,
    pages,
    sent,
    done,
    etag: done === undefined ? undefined : `"g.1.${version}"`,
    refused: false,
  };
};

/** Pages from 0 on, asked for at one time, with the head at another one. */
const read = (stamps: readonly number[], [asked, headed]: Pages, version = 0): Seen => {
  return {
    reader: 'reader',
    etag: version === 0 ? '"g"' : `"g.1.${version}"`,
    asked,
    headed,
    extents: [{ firstPage: 0, stamps }],
  };
};

const rulesOf = (writes: readonly PageWrite[], ...seen: readonly Seen[]) => {
  return [...new Set(findFaults({ writes, seen }).map(({ rule }) => rule))];
};

test('a version is the place of an entity-tag in its generation', () => {
  assert.deepEqual(versionOf('"18c-2000"'), { generation: '18c-2000', order: 0 });
  assert.deepEqual(versionOf('"18c-2000.1.7"'), { generation: '18c-2000', order: 2 ** 32 + 7 });
  assert.ok(versionOf('"g.2.1"').order > versionOf('"g.1.99"').order);
});

test('the state before, after and between writes is a snapshot', () => {
  const writes = [write(1, [0, 2], [10, 20]), write(2, [1, 2], [30, 40])];
  assert.deepEqual(rulesOf(writes, read([0, 0, 0, 0], [1, 2])), []);
  assert.deepEqual(rulesOf(writes, read([1, 1, 0, 0], [21, 22], 1)), []);
  assert.deepEqual(rulesOf(writes, read([1, 2, 2, 0], [41, 42], 2)), []);
});

test('a write beside the request may be seen or not, but as a whole', () => {
  const writes = [write(1, [0, 3], [10, 50], 9)]; // By its end, others had moved the version on.
  assert.deepEqual(rulesOf(writes, read([0, 0, 0], [20, 30]), read([1, 1, 1], [20, 30], 1)), []);
  assert.deepEqual(rulesOf(writes, read([1, 0, 1], [20, 30], 1)), ['half a write']);
});

test('a write that was never acknowledged may be seen for ever, or never', () => {
  const writes = [write(1, [0, 1], [10, undefined])];
  assert.deepEqual(rulesOf(writes, read([0], [100, 110]), read([1], [100, 110], 1)), []);
});

test('a page that is not uniform is a fault', () => {
  assert.deepEqual(rulesOf([], read([0, notUniform], [1, 2])), ['not uniform']);
});

test('content that nobody wrote there is a fault', () => {
  const writes = [write(1, [1, 1], [10, 20]), { ...write(2, [0, 2], [10, 20]), refused: true }];
  assert.deepEqual(rulesOf(writes, read([1], [30, 40], 1)), ['never written']);
  assert.deepEqual(rulesOf(writes, read([2, 2], [30, 40], 2)), ['never written']);
  assert.deepEqual(rulesOf(writes, read([0, 1, 0], [30, 40], 1)), []);
});

test('what was sent after the head had come is not in the response', () => {
  const writes = [write(1, [0, 2], [10, 20])];
  assert.deepEqual(rulesOf(writes, read([1, 1], [5, 9], 1)), ['from the future']);
});

test('what was acknowledged before the request is in the response', () => {
  const writes = [write(1, [0, 1], [10, 20]), write(2, [0, 1], [30, 40])];
  assert.deepEqual(rulesOf(writes, read([1], [50, 60], 1)), ['outdated']);
  assert.deepEqual(rulesOf(writes, read([1], [39, 60], 1)), []);
});

test('what was acknowledged before another write that is shown is in the response', () => {
  const writes = [write(1, [0, 1], [10, 20]), write(2, [1, 1], [30, 40])];
  assert.deepEqual(rulesOf(writes, read([0, 2], [5, 35], 2)), ['outdated']);
  assert.deepEqual(rulesOf(writes, read([0, 0], [5, 35])), []);
});

test('what is no later than the version of a response is in it', () => {
  const writes = [write(1, [0, 1], [10, 40], 3)];
  assert.deepEqual(rulesOf(writes, read([0], [20, 30], 2)), []);
  assert.deepEqual(rulesOf(writes, read([0], [20, 30], 3)), ['outdated']);
});

test('of two writes to the same pages one is the later one on all of them', () => {
  const writes = [write(1, [0, 2], [10, 50]), write(2, [0, 2], [10, 50])];
  assert.deepEqual(rulesOf(writes, read([1, 2], [20, 60], 2)), ['crossed writes']);
  assert.deepEqual(rulesOf([write(1, [0, 2], [10, 50]), write(2, [1, 1], [10, 50])], read([1, 2], [20, 60], 2)), []);
});

test('one entity-tag stands for one content, and no content comes back', () => {
  const writes = [1, 2].map((stamp) => write(stamp, [0, 1], [10, undefined]));
  const at = (stamp: number, version: number) => read([stamp], [20, 30], version);
  assert.deepEqual(rulesOf(writes, at(1, 5), at(2, 5)), ['came back']);
  assert.deepEqual(rulesOf(writes, at(1, 5), at(2, 6), at(1, 7)), ['came back']);
  assert.deepEqual(rulesOf(writes, at(1, 5), at(1, 6), at(2, 7), at(2, 9)), []);
});

test('the parts of one response are of one snapshot', () => {
  const writes = [write(1, [0, 10], [10, 20], 9)];
  const parts = (one: number, other: number): Seen => ({
    ...read([], [12, 18], 1),
    extents: [
      { firstPage: 0, stamps: [one] },
      { firstPage: 9, stamps: [other] },
    ],
  });
  assert.deepEqual(rulesOf(writes, parts(1, 1)), []);
  assert.deepEqual(rulesOf(writes, parts(1, 0)), ['half a write']);
});
