import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DescribedFiles, type LookForSidecars } from '../../src/region/described-files.ts';
import { FileTags } from '../../src/region/file-tags.ts';
import type { DamagedSidecar } from '../../src/region/sidecar.ts';
import { readSidecar, regionsFolder, writeSidecar } from '../../src/region/sidecar.ts';
import { statePaths } from '../../src/region/state-folder.ts';
import { RegionStates, stateOfFile } from '../../src/region/states.ts';
import type { Files } from '../../src/relay/files.ts';
import type { FileIdentity } from '../../src/relay/relay.ts';
import { makeFolder } from '../support/regions.ts';

const file: FileIdentity = {
  device: 1,
  inode: 7,
  size: 1000,
  modifiedSeconds: 1_700_000_000,
  modifiedNanoseconds: 9,
  changedSeconds: 1_700_000_000,
  changedNanoseconds: 6,
};
const later = { ...file, modifiedNanoseconds: 10, changedNanoseconds: 11 };
// These tests are about what is written, not about whether it is on the medium.
const files = { sync: async () => {}, syncFolder: async () => {} } as unknown as Files;

function makeStates(t: TestContext) {
  const paths = statePaths(makeFolder(t, 'tmpfs'));
  const damages: DamagedSidecar[] = [];
  const open = () => new RegionStates(new DescribedFiles(paths, files, (damage) => damages.push(damage)));
  return { paths, damages, open };
}

test('a file that nothing is known of is named by its inode, size, mtime and ctime', (t) => {
  const { open, paths } = makeStates(t);
  const state = open().of('a', file);
  assert.deepEqual(state, stateOfFile(new FileTags().generationOf(file, paths.root)));
  assert.deepEqual([state.epoch, state.version, state.inPlace], [0, 0, false]);
});

test('the first change of a run opens an epoch, durably and once; versions follow', async (t) => {
  const { open, paths } = makeStates(t);
  const states = open();
  const before = states.of('a', file);
  assert.equal(await states.openEpoch('a', file, before), 1);
  const [written] = readSidecar(paths.root, 'a')?.descriptions ?? [];
  assert.deepEqual([written?.epoch, written?.version, written?.run], [1, undefined, states.run]);
  assert.equal(states.begin('a', file.inode, 1).end(later), 1);
  assert.equal(await states.openEpoch('a', later, states.of('a', later)), 1);
  const after = states.of('a', later);
  assert.deepEqual([after.generation, after.epoch, after.version], [before.generation, 1, 1]);
});

test('an orderly end writes the version down, and a restart changes nothing', async (t) => {
  const { open } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, states.of('a', file));
  states.begin('a', file.inode, 1).end(later);
  const shown = states.of('a', later);
  await states.close();
  assert.deepEqual(open().of('a', later), shown);
});

test('while another run may be changing a file, its time stands for the version', async (t) => {
  const { open } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, states.of('a', file));
  const [one, other] = [file, later].map((each) => open().of('a', each).generation);
  assert.match(one ?? '', /\.1\./);
  assert.notEqual(one, other);
});

test('a file that others change after us is one that nothing is known of, also after the end', async (t) => {
  const { open, paths } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, states.of('a', file));
  const foreign = { ...file, size: 5 };
  const named = stateOfFile(new FileTags().generationOf(foreign, paths.root));
  assert.match(states.of('a', foreign).generation, /\.1\./, 'its description is still on disk');
  await states.close();
  assert.deepEqual(open().of('a', foreign), named);
});

test('while a change of our own goes on, time and size are no one else’s doing', async (t) => {
  const { open } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, states.of('a', file));
  const change = states.begin('a', file.inode, 1);
  assert.deepEqual([states.of('a', later).epoch, states.of('a', later).version], [1, 1]);
  change.end(later);
});

test('a logical size is served of a longer file until that is cut', async (t) => {
  const { open } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, states.of('a', file));
  const change = states.begin('a', file.inode, 1);
  await change.resize(400, true);
  assert.equal(states.of('a', file).limit, undefined, 'until it ends, readers have the old size');
  change.end(file, 400);
  assert.equal(states.of('a', file).limit, 400);
  const cut = { ...file, size: 400 };
  states.begin('a', file.inode, undefined).end(cut, 400);
  assert.equal(states.of('a', cut).limit, undefined);
});

test('a change of a file that has lost its name says nothing of the one that has it now', async (t) => {
  const { open } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, states.of('a', file));
  const change = states.begin('a', file.inode, 1);
  await states.forget('a', false);
  const next = { ...file, inode: 8 };
  await states.openEpoch('a', next, states.of('a', next));
  await change.resize(400, true);
  change.move(7);
  assert.equal(change.end(file, 400), undefined);
  const { limit, version } = states.of('a', next);
  assert.deepEqual([limit, version], [undefined, 0]);
});

test('nothing comes after the end of a change', async (t) => {
  const { open } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, states.of('a', file));
  const change = states.begin('a', file.inode, 1);
  change.end(later);
  const refused = { code: 'ERR_ASSERTION' };
  assert.throws(() => change.end(later), refused);
  assert.throws(() => change.move(2), refused);
  await assert.rejects(change.resize(1, true), refused);
  assert.equal(states.of('a', later).version, 1);
});

test('what somebody may go on changing when we end is left open', async (t) => {
  const { open, paths } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, states.of('a', file));
  states.leaveOpen('a');
  await states.close();
  assert.equal(readSidecar(paths.root, 'a')?.descriptions[0]?.version, undefined);
});

test('a damaged sidecar is told of and not used', (t) => {
  const { open, paths, damages } = makeStates(t);
  mkdirSync(join(paths.root, 'regions'), { recursive: true });
  const states = open();
  writeFileSync(join(paths.root, 'regions', 'ca978112ca1bbdcafac231b39a23dc4d.json'), '{');
  assert.deepEqual(states.of('a', file), stateOfFile(new FileTags().generationOf(file, paths.root)));
  assert.equal(damages.length, 1);
});

const touched = { ...later, changedNanoseconds: 12 };

/** A region that one run has changed, whose file others have then overwritten with its mtime put back. */
async function overwriteByOthers(t: TestContext) {
  const { open, paths } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, { ...states.of('a', file), contentType: 'text/x-mine' });
  states.begin('a', file.inode, 1).end(later);
  return { open, paths, states, shown: states.of('a', later) };
}

test('a file of ours whose ctime others have moved has another name at once', async (t) => {
  const { states, shown } = await overwriteByOthers(t);
  const now = states.of('a', touched);
  assert.notEqual(now.generation, shown.generation);
  assert.equal(now.contentType, 'text/x-mine');
});

test('and after a restart, with the media type and the length that it was given', async (t) => {
  const { open, paths, states, shown } = await overwriteByOthers(t);
  const change = states.begin('a', file.inode);
  await change.resize(400, true);
  change.end(later, 400);
  await states.close();
  const now = open().of('a', touched);
  assert.notEqual(now.generation, shown.generation);
  assert.deepEqual([now.contentType, now.limit, now.inPlace], ['text/x-mine', 400, true]);
  assert.deepEqual(open().of('a', touched), now, 'a restart alone changes nothing');
  const portable = new RegionStates(new DescribedFiles(paths, files, assert.fail, new FileTags(true)));
  assert.equal(portable.of('a', touched).generation, shown.generation, 'where ctime does not count');
});

test('a description from before ctime was known is of its file by size and mtime', async (t) => {
  const { open, paths } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, states.of('a', file));
  states.begin('a', file.inode, 1).end(later);
  const shown = states.of('a', later);
  await states.close();
  const { descriptions } = readSidecar(paths.root, 'a') ?? assert.fail();
  const old = descriptions.map((description) => ({ ...description, changed: undefined }));
  const unsynced = { file: async () => {}, folder: async () => {} };
  await writeSidecar(paths.root, { name: 'a', descriptions: old }, unsynced);
  assert.deepEqual(open().of('a', touched), shown);
});

/** What the folder of sidecars has, looked at in one go. */
const looked: { files: (readonly string[])[] } = { files: [] };
function lookIn({ root }: ReturnType<typeof statePaths>): LookForSidecars {
  return (names) => {
    looked.files.push(names);
    return names.map((name) => (existsSync(join(root, 'regions', name)) ? file : -constants.errno.ENOENT));
  };
}

for (const others of [1, 101])
  test(`among many that are looked at in one go, what was written down in between is seen, beside ${others} others`, async (t) => {
    const { open, paths } = makeStates(t);
    mkdirSync(regionsFolder(paths.root), { recursive: true });
    for (let at = 0; at < others; at++) writeFileSync(join(regionsFolder(paths.root), `${at}.json`), '{}');
    const [writer, reader] = [
      open(),
      new RegionStates(new DescribedFiles(paths, undefined, assert.fail, undefined, lookIn(paths))),
    ];
    const read = () => {
      reader.files.lookAhead(['a', 'b']);
      return [reader.of('a', file), reader.of('b', file)] as const;
    };
    const [plain, same] = read();
    assert.deepEqual(same, plain);
    await writer.openEpoch('a', file, writer.of('a', file));
    const [written, still] = read();
    assert.notDeepEqual(written, plain);
    assert.deepEqual(written, reader.of('a', file));
    assert.deepEqual(still, plain);
    if (others > 100) assert.equal(looked.files.at(-1)?.length, 2);
  });

test('what was found in one go is forgotten when the code that asked pauses', async (t) => {
  const { open, paths } = makeStates(t);
  const [writer, reader] = [
    open(),
    new RegionStates(new DescribedFiles(paths, undefined, assert.fail, undefined, lookIn(paths))),
  ];
  reader.files.lookAhead(['a']);
  const plain = reader.of('a', file);
  await writer.openEpoch('a', file, plain);
  assert.notDeepEqual(reader.of('a', file), plain);
});

test('many in one go are as one alone where another file has the place of the sidecars', (t) => {
  const { open, paths, damages } = makeStates(t);
  writeFileSync(paths.root, 'x');
  const states = open();
  states.files.lookAhead(['a']);
  assert.deepEqual(states.of('a', file), open().of('a', file));
  assert.deepEqual(damages, []);
});
