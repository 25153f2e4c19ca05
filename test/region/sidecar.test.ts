import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import {
  allSidecars,
  DamagedSidecar,
  type Description,
  describe,
  describes,
  isTouched,
  modifiedOf,
  readSidecar,
  removeSidecar,
  removeUnfinished,
  type Sidecar,
  type Sync,
  setAside,
  stateOf,
  writeSidecar,
} from '../../src/region/sidecar.ts';
import { etagOf } from '../../src/region/validator.ts';
import type { FileIdentity } from '../../src/relay/relay.ts';

const file: FileIdentity = {
  device: 1,
  inode: 12,
  size: 4096,
  modifiedSeconds: 17,
  modifiedNanoseconds: 5,
  changedSeconds: 17,
  changedNanoseconds: 6,
};
const known: Description = {
  inode: 12,
  generation: 'g',
  contentType: undefined,
  epoch: 3,
  version: 4,
  run: undefined,
  size: 4000,
  cut: true,
  fileSize: 4096,
  modified: '17000000005',
  changed: '17000000006',
};
const open: Description = { ...known, version: undefined, run: 'r' };
const noSync: Sync = { file: async () => {}, folder: async () => {} };

function stateFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'pagerelay-sidecar-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function pathOf(folder: string, name: string): string {
  return join(folder, 'regions', `${createHash('sha256').update(name).digest('hex').slice(0, 32)}.json`);
}

function damage(folder: string, name: string): string {
  const path = pathOf(folder, name);
  mkdirSync(join(folder, 'regions'), { recursive: true });
  writeFileSync(path, '{');
  return path;
}

async function listed(folder: string): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const each of allSidecars(folder)) found.push(each instanceof DamagedSidecar ? each.path : each);
  return found;
}

const descriptions: fc.Arbitrary<Description> = fc.record(
  {
    inode: fc.oneof(fc.maxSafeNat(), fc.constant(2 ** 63)),
    generation: fc.stringMatching(/^[\x21\x23-\x7e]{1,40}$/),
    contentType: fc.option(fc.stringMatching(/^[a-z]+\/[a-z]+(?:; [a-z]="[\x20\x21\x23-\x5b\xa0-\xff]*")?$/), {
      nil: undefined,
    }),
    epoch: fc.maxSafeNat(),
    version: fc.option(fc.maxSafeNat(), { nil: undefined }),
    run: fc.option(fc.stringMatching(/^[0-9a-f]{1,16}$/), { nil: undefined }),
    size: fc.maxSafeNat(),
    cut: fc.boolean(),
    fileSize: fc.maxSafeNat(),
    modified: fc.bigInt(-(2n ** 63n), 2n ** 63n).map(String),
    changed: fc.option(fc.bigInt(-(2n ** 63n), 2n ** 63n).map(String), { nil: undefined }),
  },
  { noNullPrototype: true },
);
const sidecars: fc.Arbitrary<Sidecar> = fc.record(
  {
    name: fc.stringMatching(/^[a-z0-9_-][a-z0-9._-]{0,20}(?:\/[a-z0-9_-][a-z0-9._-]{0,20}){0,3}$/),
    descriptions: fc.array(descriptions, { minLength: 1, maxLength: 2 }),
  },
  { noNullPrototype: true },
);

test('what was written is read back', async (t) => {
  const folder = stateFolder(t);
  await fc.assert(
    fc.asyncProperty(sidecars, async (sidecar) => {
      await writeSidecar(folder, sidecar, noSync);
      assert.deepEqual(readSidecar(folder, sidecar.name), sidecar);
    }),
  );
});

test('a file that was cut short, or of which one byte changed, is a sidecar or damaged, and nothing else', async (t) => {
  const folder = stateFolder(t);
  const places = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  await fc.assert(
    fc.asyncProperty(sidecars, places, fc.nat(255), fc.boolean(), async (sidecar, place, byte, cut) => {
      await writeSidecar(folder, sidecar, noSync);
      const path = pathOf(folder, sidecar.name);
      const bytes = readFileSync(path);
      const at = Math.floor(place * bytes.length);
      bytes[at] = byte;
      writeFileSync(path, cut ? bytes.subarray(0, at) : bytes);
      try {
        assert.equal(readSidecar(folder, sidecar.name)?.name, sidecar.name);
      } catch (error) {
        assert.ok(error instanceof DamagedSidecar);
        assert.equal(error.path, path);
      }
    }),
    { numRuns: 500 },
  );
});

test('of a region that was never written down nothing is known', (t) => {
  assert.equal(readSidecar(stateFolder(t), 'a'), undefined);
});

test('a sidecar is written whole before it takes its place, and its place is durable last', async (t) => {
  const folder = stateFolder(t);
  const steps: string[] = [];
  const note = (step: string) => steps.push(`${step}, then known: ${readSidecar(folder, 'a') !== undefined}`);
  const sync: Sync = {
    file: async (fd) => {
      assert.equal(JSON.parse(readFileSync(`/proc/self/fd/${fd}`, 'utf8')).name, 'a');
      note('file');
    },
    folder: async (path) => void note(path),
  };
  await writeSidecar(folder, { name: 'a', descriptions: [known] }, sync);
  await writeSidecar(folder, { name: 'a', descriptions: [open, known] }, sync);
  const regions = join(folder, 'regions');
  assert.deepEqual(steps, [
    `${folder}, then known: false`,
    'file, then known: false',
    `${regions}, then known: true`,
    'file, then known: true',
    `${regions}, then known: true`,
  ]);
});

test('a sidecar that can not be made durable leaves the one before it, and no other file', async (t) => {
  const folder = stateFolder(t);
  const before: Sidecar = { name: 'a', descriptions: [known] };
  await writeSidecar(folder, before, noSync);
  const failing: Sync = { ...noSync, file: () => Promise.reject(new Error('no space')) };
  await assert.rejects(writeSidecar(folder, { name: 'a', descriptions: [open] }, failing), /no space/);
  assert.deepEqual(readSidecar(folder, 'a'), before);
  assert.equal(readdirSync(join(folder, 'regions')).length, 1);
});

test('a folder that can not be synced fails the writing', async (t) => {
  const folder = stateFolder(t);
  const failing: Sync = { ...noSync, folder: () => Promise.reject(new Error('broken disk')) };
  await writeSidecar(folder, { name: 'a', descriptions: [known] }, noSync);
  await assert.rejects(writeSidecar(folder, { name: 'a', descriptions: [open] }, failing), /broken disk/);
  assert.equal(readdirSync(join(folder, 'regions')).length, 1);
});

test('what could not be read back is not written', async (t) => {
  const folder = stateFolder(t);
  await assert.rejects(writeSidecar(folder, { name: 'a', descriptions: [] }, noSync), RangeError);
  assert.deepEqual(readdirSync(folder), []);
});

test('a sidecar in the place of another region is damaged', async (t) => {
  const folder = stateFolder(t);
  await writeSidecar(folder, { name: 'a', descriptions: [known] }, noSync);
  writeFileSync(pathOf(folder, 'b'), readFileSync(pathOf(folder, 'a')));
  assert.throws(() => readSidecar(folder, 'b'), DamagedSidecar);
  assert.equal((await listed(folder)).includes(pathOf(folder, 'b')), true);
});

test('a removed sidecar is gone, and removing it again does nothing', async (t) => {
  const folder = stateFolder(t);
  await writeSidecar(folder, { name: 'a', descriptions: [known] }, noSync);
  await removeSidecar(folder, 'a');
  await removeSidecar(folder, 'a');
  assert.equal(readSidecar(folder, 'a'), undefined);
});

test('all sidecars are listed, damaged ones by path and cause, other files not', async (t) => {
  const folder = stateFolder(t);
  assert.deepEqual(await listed(folder), [], 'without a folder there are none');
  const sidecar: Sidecar = { name: 'a', descriptions: [open, known] };
  await writeSidecar(folder, sidecar, noSync);
  const damaged = damage(folder, 'b');
  writeFileSync(`${pathOf(folder, 'a')}.0f.new`, '{');
  writeFileSync(join(folder, 'regions', 'notes.json'), '{');
  const found = await listed(folder);
  assert.equal(found.length, 2);
  assert.deepEqual(
    found.find((each) => typeof each === 'object'),
    sidecar,
  );
  assert.ok(found.includes(damaged));
  for await (const each of allSidecars(folder)) {
    if (each instanceof DamagedSidecar) assert.equal(each.path, damaged);
  }
});

test('what a crash left unfinished is removed, and nothing else', async (t) => {
  const folder = stateFolder(t);
  await removeUnfinished(folder);
  await writeSidecar(folder, { name: 'a', descriptions: [known] }, noSync);
  const regions = join(folder, 'regions');
  writeFileSync(join(regions, 'a.new'), '{');
  const kept = readdirSync(regions).sort();
  writeFileSync(`${pathOf(folder, 'a')}.0123456789abcdef.new`, '{');
  await removeUnfinished(folder);
  assert.deepEqual(readdirSync(regions).sort(), kept);
});

test('damaged sidecars are set aside one beside the other', async (t) => {
  const folder = stateFolder(t);
  const now = new Date('2024-05-06T07:08:09.123Z');
  const aside: string[] = [];
  for (const content of ['{', '[']) {
    writeFileSync(damage(folder, 'a'), content);
    aside.push(await setAside(folder, pathOf(folder, 'a'), now));
  }
  assert.equal(existsSync(pathOf(folder, 'a')), false);
  assert.deepEqual(
    aside.map((path) => readFileSync(path, 'utf8')),
    ['{', '['],
  );
  for (const path of aside) {
    assert.match(path.slice(folder.length), /^\/damaged\/[0-9a-f]{32}\.json\.2024-05-06T070809\.123Z\.[0-9a-f]{16}$/);
  }
});

const identities: readonly (readonly [what: string, file: FileIdentity, known: boolean, open: boolean])[] = [
  ['the file as it was', file, true, true],
  ['another inode', { ...file, inode: 13 }, false, false],
  ['another size', { ...file, size: 4000 }, false, true],
  ['another second', { ...file, modifiedSeconds: 18 }, false, true],
  ['another nanosecond', { ...file, modifiedNanoseconds: 6 }, false, true],
  ['another ctime, as another hard link or a chmod leaves it', { ...file, changedNanoseconds: 7 }, true, true],
  ['another device, as a mount after a restart may have', { ...file, device: 2 }, true, true],
];

for (const [what, identity, whenKnown, whenOpen] of identities) {
  test(`${what} is ${whenKnown ? '' : 'not '}described by a known version, ${whenOpen ? '' : 'not '}by an open one`, () => {
    assert.equal(describes(known, identity), whenKnown);
    assert.equal(describes(open, identity), whenOpen);
  });
}

const touches: readonly (readonly [what: string, description: Description, file: FileIdentity, touched: boolean])[] = [
  ['the file as it was', known, file, false],
  ['another nanosecond of ctime', known, { ...file, changedNanoseconds: 7 }, true],
  ['another second of ctime', known, { ...file, changedSeconds: 18 }, true],
  ['a ctime that was not known', { ...known, changed: undefined }, file, false],
  ['a run that may still change it', open, { ...file, changedSeconds: 18 }, false],
  ['a run that may still cut it', { ...known, run: 'r' }, { ...file, changedSeconds: 18 }, false],
];

for (const [what, description, identity, touched] of touches) {
  test(`${what} tells ${touched ? '' : 'nothing '}of others who touched the file`, () => {
    assert.equal(isTouched(description, identity), touched);
  });
}

test('across a replacement each file has its own description', () => {
  const sidecar: Sidecar = { name: 'a', descriptions: [{ ...open, inode: 11 }, known] };
  assert.equal(describe(sidecar, file), sidecar.descriptions[1]);
  assert.equal(describe(sidecar, { ...file, inode: 11, size: 1 }), sidecar.descriptions[0]);
  assert.equal(describe(sidecar, { ...file, inode: 13 }), undefined);
  assert.equal(describe(undefined, file), undefined);
});

test('times before 1970 and with few nanoseconds have one decimal number each', () => {
  const at = (modifiedSeconds: number, modifiedNanoseconds: number) =>
    modifiedOf({ ...file, modifiedSeconds, modifiedNanoseconds });
  assert.deepEqual([at(0, 0), at(1, 2), at(-1, 999_999_999)], ['0', '1000000002', '-1']);
  assert.equal(at(1_700_000_000, 123_456_789), '1700000000123456789');
});

test('a version that is not known comes to a state that its run can not have shown', () => {
  assert.deepEqual(stateOf(known), { generation: 'g', epoch: 3, version: 4 });
  assert.deepEqual(stateOf(open), { generation: 'g', epoch: 4, version: 0 });
  fc.assert(
    fc.property(fc.nat(9), fc.nat(9), (epoch, version) => {
      const shown = etagOf({ generation: 'g', epoch, version });
      assert.notEqual(etagOf(stateOf({ ...open, epoch })), shown);
    }),
  );
});
