import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DamagedSidecar } from '../../src/region/sidecar.ts';
import { readSidecar } from '../../src/region/sidecar.ts';
import { statePaths } from '../../src/region/state-folder.ts';
import { RegionStates, stateOfFile } from '../../src/region/states.ts';
import type { Files } from '../../src/relay/files.ts';
import type { FileIdentity } from '../../src/relay/relay.ts';
import { makeFolder } from '../support/regions.ts';

const file: FileIdentity = { device: 1, inode: 7, size: 1000, modifiedSeconds: 1_700_000_000, modifiedNanoseconds: 9 };
const later = { ...file, modifiedNanoseconds: 10 };
// These tests are about what is written, not about whether it is on the medium.
const files = { sync: async () => {}, syncFolder: async () => {} } as unknown as Files;

function makeStates(t: TestContext) {
  const paths = statePaths(makeFolder(t, 'tmpfs'));
  const damages: DamagedSidecar[] = [];
  const open = () => new RegionStates(paths, files, (damage) => damages.push(damage));
  return { paths, damages, open };
}

test('a file that nothing is known of is named by its time and size', (t) => {
  const { open } = makeStates(t);
  const state = open().of('a', file);
  assert.deepEqual(state, stateOfFile(file));
  assert.equal(state.generation, `${(1_700_000_000n * 1_000_000_000n + 9n).toString(16)}-3e8`);
  assert.deepEqual([state.epoch, state.version, state.inPlace], [0, 0, false]);
});

test('the first change of a run opens an epoch, durably and once; versions follow', async (t) => {
  const { open, paths } = makeStates(t);
  const states = open();
  const before = states.of('a', file);
  assert.equal(await states.openEpoch('a', file, before), 1);
  const [written] = readSidecar(paths.root, 'a')?.descriptions ?? [];
  assert.deepEqual([written?.epoch, written?.version, written?.run], [1, undefined, states.run]);
  states.changing('a', file.inode, 1);
  assert.equal(states.changed('a', later), 1);
  assert.equal(await states.openEpoch('a', later, states.of('a', later)), 1);
  const after = states.of('a', later);
  assert.deepEqual([after.generation, after.epoch, after.version], [before.generation, 1, 1]);
});

test('an orderly end writes the version down, and a restart changes nothing', async (t) => {
  const { open } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, states.of('a', file));
  states.changing('a', file.inode, 1);
  states.changed('a', later);
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
  const { open } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, states.of('a', file));
  const foreign = { ...file, size: 5 };
  assert.notEqual(states.of('a', foreign).generation, stateOfFile(file).generation);
  await states.close();
  assert.deepEqual(open().of('a', foreign), stateOfFile(foreign));
});

test('while a change of our own goes on, time and size are no one else’s doing', async (t) => {
  const { open } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, states.of('a', file));
  states.changing('a', file.inode, 1);
  assert.deepEqual([states.of('a', later).epoch, states.of('a', later).version], [1, 1]);
  states.changed('a', later);
});

test('a logical size is served of a longer file until that is cut', async (t) => {
  const { open } = makeStates(t);
  const states = open();
  await states.openEpoch('a', file, states.of('a', file));
  await states.resize('a', 400, true);
  assert.equal(states.of('a', file).limit, 400);
  states.changing('a', file.inode, undefined);
  const cut = { ...file, size: 400 };
  states.changed('a', cut, 400);
  assert.equal(states.of('a', cut).limit, undefined);
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
  assert.deepEqual(states.of('a', file), stateOfFile(file));
  assert.equal(damages.length, 1);
});
