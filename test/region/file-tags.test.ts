import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { FileTags } from '../../src/region/file-tags.ts';
import { identityOf } from '../../src/relay/file-identity.ts';
import type { FileIdentity } from '../../src/relay/relay.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';

const file: FileIdentity = {
  device: 1,
  inode: 7,
  size: 1000,
  modifiedSeconds: 1_700_000_000,
  modifiedNanoseconds: 9,
  changedSeconds: 1_700_000_001,
  changedNanoseconds: 8,
};

const fileSystems: readonly (readonly [name: string, type: number, lasting: boolean])[] = [
  ['ext4', 0xef53, true],
  ['XFS', 0x58465342, true],
  ['btrfs', 0x9123683e, true],
  ['tmpfs', 0x01021994, true],
  ['NFS', 0x6969, true],
  ['FUSE and virtiofs', 0x65735546, false],
  ['overlayfs', 0x794c7630, false],
  ['aufs', 0x61756673, false],
  ['FAT', 0x4d44, false],
  ['exFAT', 0x2011bab0, false],
  ['SMB 1', 0xff534d42, false],
  ['SMB 3', 0xfe534d42, false],
];

for (const [name, type, lasting] of fileSystems) {
  test(`the inode ${lasting ? 'counts' : 'does not count'} on ${name}`, () => {
    const tags = new FileTags(false, () => type);
    const [one, other] = [file, { ...file, inode: 8 }].map((each) => tags.generationOf(each, '/x'));
    assert.equal(one !== other, lasting);
  });
}

test('a file system is asked once, and again where it could not tell', () => {
  const answers = [undefined, 0xef53, 0x65735546];
  const asked: string[] = [];
  const tags = new FileTags(false, (path) => answers[asked.push(path) - 1]);
  for (const path of ['/a', '/b', '/c']) tags.generationOf(file, path);
  assert.deepEqual(asked, ['/a', '/b']);
  tags.generationOf({ ...file, device: 2 }, '/d');
  assert.deepEqual(asked, ['/a', '/b', '/d']);
});

const changes: readonly (readonly [what: string, change: Partial<FileIdentity>, counts: boolean, portably: boolean])[] =
  [
    ['device', { device: 2 }, false, false],
    ['inode', { inode: 8 }, true, false],
    ['ctime', { changedNanoseconds: 9 }, true, false],
    ['size', { size: 999 }, true, true],
    ['mtime', { modifiedNanoseconds: 8 }, true, true],
  ];

for (const [what, change, counts, portably] of changes) {
  test(`another ${what} is ${counts ? 'another' : 'the same'} tag, and ${portably ? 'another' : 'the same'} portable one`, () => {
    for (const portable of [false, true]) {
      const tags = new FileTags(portable, () => 0xef53);
      const [one, other] = [file, { ...file, ...change }].map((each) => tags.generationOf(each, '/x'));
      assert.equal(one !== other, portable ? portably : counts);
    }
  });
}

test('the kernel tells what a real file is on', (t) => {
  const { path } = writeRegion(makeFolder(t, 'tmpfs'), 'a', 10);
  const seen = identityOf(statSync(path, { bigint: true }));
  const tags = new FileTags();
  assert.notEqual(tags.generationOf(seen, path), tags.generationOf({ ...seen, inode: seen.inode + 1 }, path));
});
