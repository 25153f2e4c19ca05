import assert from 'node:assert/strict';
import { chmodSync, linkSync, renameSync, statSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { OwnMoves } from '../../src/region/own-moves.ts';
import { identityOf, isSameChange } from '../../src/relay/file-identity.ts';
import type { FileIdentity } from '../../src/relay/relay.ts';
import { until } from '../support/poll.ts';
import { makeFolder } from '../support/regions.ts';

const look = (path: string) => identityOf(statSync(path, { bigint: true }));

function makeFile(t: TestContext) {
  const folder = makeFolder(t, 'tmpfs');
  const path = join(folder, 'a');
  writeFileSync(path, 'content');
  utimesSync(path, 1, 1);
  return { path, other: join(folder, 'b'), before: look(path), moves: new OwnMoves() };
}

/** Does something until it moves ctime: before Linux 6.13 that has the clock's tick. */
async function moveChange(path: string, act: () => void): Promise<void> {
  const { changedSeconds, changedNanoseconds } = look(path);
  await until(() => {
    act();
    const now = look(path);
    return now.changedSeconds !== changedSeconds || now.changedNanoseconds !== changedNanoseconds;
  }, 'ctime has moved');
}

/** Gives a file another name and takes it again, until that moves ctime. */
function moveNames(path: string, other: string): Promise<void> {
  return moveChange(path, () => {
    linkSync(path, other);
    unlinkSync(other);
  });
}

test('a file is the one that it was while and after the service moves its ctime', async (t) => {
  const { path, other, before, moves } = makeFile(t);
  await moves.during(path, async () => {
    await moveNames(path, other);
    assert.deepEqual(moves.asBefore(look(path)), before, 'while');
  });
  assert.notDeepEqual(look(path), before);
  assert.deepEqual(moves.asBefore(look(path)), before, 'after');
  assert.deepEqual(moves.asNow(before), look(path));
  assert.ok(moves.isOwn(before, look(path)));
});

test('moves of one file add up', async (t) => {
  const { path, other, before, moves } = makeFile(t);
  await moves.during(path, () => moves.during(path, () => moveNames(path, other)));
  await moves.during(path, () => moveNames(path, other));
  assert.deepEqual(moves.asBefore(look(path)), before);
});

test('of a file that is moved again and again, the latest 64 ctimes are known', async (t) => {
  const { path, other, before, moves } = makeFile(t);
  const looks: FileIdentity[] = [];
  for (let each = 0; each < 66; each++) {
    await moves.during(path, () => moveNames(path, other));
    looks.push(look(path));
    assert.deepEqual(moves.asBefore(look(path)), before);
  }
  const forgotten = looks.splice(0, 2);
  for (const known of looks) assert.deepEqual(moves.asBefore(known), before);
  for (const old of forgotten) assert.equal(moves.asBefore(old), old);
});

test('a file whose ctime others have moved after the service did is another one', async (t) => {
  const { path, other, before, moves } = makeFile(t);
  await moves.during(path, () => moveNames(path, other));
  await moveChange(path, () => chmodSync(path, 0o600));
  assert.deepEqual(moves.asBefore(look(path)), look(path));
  assert.equal(moves.isOwn(before, look(path)), false);
  await moves.during(path, () => moveNames(path, other));
  assert.equal(moves.isOwn(before, look(path)), false, 'also when the service moves it again');
});

test('a file that others change while the service moves its ctime is another one', async (t) => {
  const { path, other, moves } = makeFile(t);
  await moves.during(path, async () => {
    await moveNames(path, other);
    writeFileSync(path, 'other content');
  });
  assert.deepEqual(moves.asBefore(look(path)), look(path));
});

test('a file that loses one of its names keeps what it was by the others', async (t) => {
  const { path, other, moves } = makeFile(t);
  linkSync(path, other);
  const before = look(path);
  await moves.unlinking(other, async () => unlinkSync(other));
  assert.ok(isSameChange(moves.asBefore(look(path)), before));
});

test('what is done when it fails moves no tag either', async (t) => {
  const { path, other, before, moves } = makeFile(t);
  const failing = moves.during(path, async () => {
    await moveNames(path, other);
    throw new Error('as told');
  });
  await assert.rejects(failing, /as told/);
  assert.deepEqual(moves.asBefore(look(path)), before);
});

test('nothing is remembered of a file that has lost its last name', async (t) => {
  const { path, other, before, moves } = makeFile(t);
  await moves.during(path, async () => renameSync(path, other));
  await moves.unlinking(other, async () => unlinkSync(other));
  const like = { ...before, changedSeconds: before.changedSeconds + 1 };
  assert.equal(moves.asBefore(like), like);
  await assert.rejects(
    moves.unlinking(other, async () => {}),
    /ENOENT/,
  );
});
