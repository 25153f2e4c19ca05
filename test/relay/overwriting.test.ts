import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Files } from '../../src/relay/files.ts';
import { type Durability, Overwriting, type PlannedOverwrite } from '../../src/relay/overwriting.ts';
import type { Generation, Overwrite } from '../../src/relay/relay.ts';
import type { Shim, ShimOverwritten } from '../../src/relay/shim.ts';

const kibibyte = 1024;

/** A shim whose overwrites end when the test says so. */
function holding() {
  const calls: { readonly list: readonly Overwrite[]; readonly end: (errno?: number) => void }[] = [];
  let isFree = false;
  const fileOverwrite = (list: readonly Overwrite[]) => {
    const { promise, resolve } = Promise.withResolvers<readonly ShimOverwritten[]>();
    const end = (errno = 0) => resolve(list.map(() => ({ errno, undone: errno < 0 })));
    calls.push({ list, end });
    if (isFree) end();
    return promise;
  };
  /** Ends all calls, and those that come. */
  const letGo = () => {
    isFree = true;
    for (const { end } of calls) end();
  };
  const files = new Files({ fileOverwrite } as unknown as Shim);
  /** The offsets of each call so far. */
  const offsets = () => calls.map(({ list }) => list.map(({ offset }) => offset));
  return { calls, letGo, offsets, overwriting: (durability: Durability) => new Overwriting(files, durability) };
}

function file(inode: number): Generation {
  return { device: 1, inode } as Generation;
}

function at(offset: number, length = kibibyte): PlannedOverwrite {
  const bytes = new Uint8Array();
  return {
    to: 0,
    from: bytes,
    offset,
    length,
    pageSize: 4096,
    fileSize: 2 ** 30,
    means: 'wait',
    note: '',
    heading: '',
  };
}

test('in a group, overwrites of a file that come during a flush share the next one', async () => {
  const { calls, offsets, overwriting } = holding();
  const group = overwriting('group');
  const first = group.run(file(1), at(0));
  const second = group.run(file(1), at(1));
  const third = group.run(file(1), at(2));
  assert.deepEqual(offsets(), [[0]]);
  calls[0]?.end();
  assert.equal((await first).error, undefined);
  await turn();
  assert.deepEqual(offsets(), [[0], [1, 2]], 'they go together, by a flush that begins after they came');
  calls[1]?.end(-5);
  assert.equal((await second).error?.code, 'EIO');
  assert.equal((await third).error?.code, 'EIO');
  await turn();
  const fourth = group.run(file(1), at(3));
  assert.deepEqual(offsets(), [[0], [1, 2], [3]]);
  calls[2]?.end();
  assert.equal((await fourth).error, undefined);
});

test('overwrites of different files do not wait for each other', () => {
  const { offsets, overwriting } = holding();
  const group = overwriting('group');
  for (const inode of [1, 2, 3]) void group.run(file(inode), at(inode));
  assert.deepEqual(offsets(), [[1], [2], [3]]);
});

test('so many go together as their bytes allow, and one of any length goes', async () => {
  const { letGo, offsets, overwriting } = holding();
  const group = overwriting('group');
  const half = 32 * kibibyte * kibibyte;
  const all = [1, half, half, 1, 4 * half, 1].map((length, offset) => group.run(file(1), at(offset, length)));
  letGo();
  await Promise.all(all);
  assert.deepEqual(offsets(), [[0], [1, 2], [3], [4], [5]]);
});

test('at most 128 go together', async () => {
  const { letGo, offsets, overwriting } = holding();
  const group = overwriting('group');
  const all = Array.from({ length: 131 }, (_, offset) => group.run(file(1), at(offset)));
  letGo();
  await Promise.all(all);
  assert.deepEqual(
    offsets().map(({ length }) => length),
    [1, 128, 2],
  );
});

test('with sync each overwrite has a flush of its own, and with none it has none', () => {
  for (const durability of ['sync', 'none'] as const) {
    const { calls, offsets, overwriting } = holding();
    const alone = overwriting(durability);
    for (const offset of [0, 1]) void alone.run(file(1), at(offset));
    assert.deepEqual(offsets(), [[0], [1]]);
    assert.deepEqual(
      calls.map(({ list: [one] }) => one?.unsynced),
      [durability === 'none', durability === 'none'],
    );
  }
});

test('what the shim refuses fails alone, and has not begun', async () => {
  const refused = (list: readonly Overwrite[]) => list.some(({ offset }) => offset === 2);
  const fileOverwrite = async (list: readonly Overwrite[]) => {
    if (refused(list)) throw new TypeError('the overwrite must lie inside the file');
    return list.map(() => ({ errno: 0, undone: false }));
  };
  for (const durability of ['sync', 'group', 'none'] as const) {
    const overwriting = new Overwriting(new Files({ fileOverwrite } as unknown as Shim), durability);
    const [first, ...others] = await Promise.all([0, 1, 2, 3].map((offset) => overwriting.run(file(1), at(offset))));
    assert.equal(first?.error, undefined);
    assert.deepEqual(
      others.map(({ error }) => error?.constructor),
      [undefined, TypeError, undefined],
    );
    const [, bad] = others;
    assert.ok(bad?.error && bad.undone);
    assert.equal((await overwriting.run(file(1), at(4))).error, undefined, 'those that come later are written');
  }
});
