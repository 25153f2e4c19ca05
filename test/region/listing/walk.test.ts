import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { Folders } from '../../../src/region/listing/folder.ts';
import { walkTree } from '../../../src/region/listing/walk.ts';
import { SystemError } from '../../../src/relay/relay.ts';
import { amount } from '../../support/amount.ts';
import { until } from '../../support/poll.ts';
import { makeFolder } from '../../support/regions.ts';

const everything = { after: '', prefix: '', enters: () => true };

async function named(names: AsyncIterable<readonly string[]>): Promise<string[]> {
  const all: string[] = [];
  for await (const some of names) all.push(...some);
  return all;
}

function byBytes(names: readonly string[]): string[] {
  return [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

// Few letters, so that names share beginnings; among them those that sort around the slash, and around surrogates.
const letter = fc.constantFrom('a', 'b', '-', '.', '0', ' ', 'é', '\u{fffd}', '\u{1f600}');
const segment = fc
  .array(letter, { minLength: 1, maxLength: 3 })
  .map((letters) => letters.join(''))
  .filter((name) => name !== '.' && name !== '..');
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'));

// A path that is a folder of another one is left out.
function treeOf(paths: readonly string[]): string[] {
  const sorted = [...new Set(paths)];
  return sorted.filter((one) => !sorted.some((other) => other.startsWith(`${one}/`)));
}

function make(folder: string, names: readonly string[]): void {
  for (const name of names) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), '');
  }
}

// Another bound is a name of the tree, or anything.
const bound = fc.oneof(
  fc.constant(''),
  path,
  path.map((name) => `${name}/`),
  fc.string({ maxLength: 3 }),
);

test('a walk names what a sorted list of all files has behind `after` and with `prefix`, in its order', async (t) => {
  const root = makeFolder(t, 'tmpfs');
  let trees = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(path, { maxLength: 40 }).map(treeOf),
      fc.array(fc.tuple(bound, bound, fc.nat()), { minLength: 1, maxLength: 8 }),
      fc.constantFrom(1, 7, 1 << 20),
      async (names, bounds, window) => {
        const folder = join(root, String(trees++));
        mkdirSync(folder);
        make(folder, names);
        const folders = new Folders({ window });
        const sorted = byBytes(names);
        assert.deepEqual(await named(walkTree(folders, folder, everything)), sorted);
        for (const [any, prefix, at] of bounds) {
          for (const after of [any, sorted[at % (sorted.length || 1)] ?? '']) {
            const walked = await named(walkTree(folders, folder, { ...everything, after, prefix }));
            const isBehind = (name: string) => Buffer.compare(Buffer.from(name), Buffer.from(after)) > 0;
            assert.deepEqual(
              walked,
              sorted.filter((name) => isBehind(name) && name.startsWith(prefix)),
            );
          }
        }
        folders.close();
        rmSync(folder, { recursive: true });
      },
    ),
    { numRuns: amount(50, 150) },
  );
});

test('a folder of more names than are read, or kept, at a time is named whole and in order', async (t) => {
  const folder = makeFolder(t, 'tmpfs');
  const names = byBytes(Array.from({ length: 5000 }, (_, at) => `d/n${(at * 7919) % 5000}`));
  make(folder, names);
  for (const window of [2000, 10_000, 1 << 20]) {
    const folders = new Folders({ window });
    assert.deepEqual(await named(walkTree(folders, folder, everything)), names, `${window} characters at a time`);
    const after = names[3210] ?? '';
    assert.deepEqual(await named(walkTree(folders, folder, { ...everything, after })), names.slice(3211));
    folders.close();
  }
});

test('a large folder is remembered while it stays as it is, and read again when it has changed', async (t) => {
  const root = makeFolder(t, 'tmpfs');
  const folder = join(root, 'd');
  const folders = new Folders({ settled: 0 });
  t.after(() => folders.close());
  const names = byBytes(Array.from({ length: 3000 }, (_, at) => `d/${at}`));
  make(root, names);
  await past(statSync(folder).ctimeMs);
  const listed = async () => {
    const before = folders.reads;
    const all = await named(walkTree(folders, root, everything));
    return { all, reads: folders.reads - before };
  };
  assert.deepEqual(await listed(), { all: names, reads: 2 });
  assert.deepEqual(await listed(), { all: names, reads: 1 }, 'the small folder above it alone is read');
  renameSync(join(folder, '17'), join(folder, 'new'));
  utimesSync(folder, 1, 1);
  const renamed = byBytes([...names.filter((name) => name !== 'd/17'), 'd/new']);
  assert.deepEqual(await listed(), { all: renamed, reads: 2 });
  rmSync(join(folder, 'new'));
  make(root, ['d/new/below']);
  utimesSync(folder, 2, 2);
  const nested = byBytes([...renamed.filter((name) => name !== 'd/new'), 'd/new/below']);
  assert.deepEqual(await listed(), { all: nested, reads: 3 });
});

test('a large folder that has just changed is read again: the next change might leave its time as it is', async (t) => {
  const root = makeFolder(t, 'tmpfs');
  make(
    root,
    Array.from({ length: 3000 }, (_, at) => `${at}`),
  );
  const folders = new Folders({ settled: 3_600_000 });
  t.after(() => folders.close());
  for (const reads of [1, 2]) {
    await named(walkTree(folders, root, everything));
    assert.equal(folders.reads, reads);
  }
});

test('of many large folders those are remembered that were read last', async (t) => {
  const root = makeFolder(t, 'tmpfs');
  const folders = new Folders({ settled: 0, folders: 2 });
  t.after(() => folders.close());
  const paths = ['a', 'b', 'c'].map((name) => join(root, name));
  make(
    root,
    ['a', 'b', 'c'].flatMap((name) => Array.from({ length: 300 }, (_, at) => `${name}/${at}`)),
  );
  for (const path of paths) await past(statSync(path).ctimeMs);
  const [a = '', b = '', c = ''] = paths;
  const readsOf = async (path: string) => {
    const before = folders.reads;
    assert.equal((await folders.keys(path, '')).next(), '0');
    return folders.reads - before;
  };
  for (const path of [a, b, c]) assert.equal(await readsOf(path), 1);
  for (const path of [b, c]) assert.equal(await readsOf(path), 0);
  assert.equal(await readsOf(a), 1);
});

test('who asks while a folder is being read shares the next reading, and has what is there by then', async (t) => {
  const root = makeFolder(t, 'tmpfs');
  make(root, ['a', 'b']);
  const folders = new Folders();
  t.after(() => folders.close());
  const first = folders.keys(root, '');
  assert.equal(folders.reads, 1, 'it is being read');
  writeFileSync(join(root, 'c'), '');
  const later = await Promise.all([1, 2, 3].map(() => folders.keys(root, '')));
  for (const keys of later) assert.deepEqual([keys.next(), keys.next(), keys.next()], ['a', 'b', 'c']);
  assert.equal((await first).next(), 'a');
  assert.equal(folders.reads, 2);
});

// A clock that both see, and that a later change of the file system is later by.
function past(milliseconds: number): Promise<void> {
  return until(() => Date.now() > milliseconds + 1, 'the clock goes on');
}

test('only folders that can have a wanted name are read', async (t) => {
  const root = makeFolder(t, 'tmpfs');
  make(root, ['a/1', 'a/b/2', 'a-b/3', 'b/4', 'b/c/5', 'c/6']);
  const folders = new Folders();
  t.after(() => folders.close());
  const read: string[] = [];
  const keys = folders.keys.bind(folders);
  folders.keys = (path, from) => {
    read.push(path.slice(root.length + 1));
    return keys(path, from);
  };
  const walk = async (wanted: Partial<typeof everything>) => {
    read.length = 0;
    return [await named(walkTree(folders, root, { ...everything, ...wanted })), [...read]];
  };
  assert.deepEqual(await walk({ after: 'b/4' }), [
    ['b/c/5', 'c/6'],
    ['', 'b/', 'b/c/', 'c/'],
  ]);
  assert.deepEqual(await walk({ prefix: 'a/b' }), [['a/b/2'], ['', 'a/', 'a/b/']]);
  assert.deepEqual(await walk({ prefix: 'a' }), [
    ['a-b/3', 'a/1', 'a/b/2'],
    ['', 'a-b/', 'a/', 'a/b/'],
  ]);
  assert.deepEqual(await walk({ enters: (folder: string) => folder !== 'b' } as Partial<typeof everything>), [
    ['a-b/3', 'a/1', 'a/b/2', 'c/6'],
    ['', 'a-b/', 'a/', 'a/b/', 'c/'],
  ]);
});

test('links are named, and links to folders not entered; a FIFO has no name', async (t) => {
  const root = makeFolder(t, 'tmpfs');
  make(root, ['d/file']);
  execFileSync('mkfifo', [join(root, 'fifo')]);
  symlinkSync('d', join(root, 'to-folder'));
  symlinkSync('d/file', join(root, 'to-file'));
  const folders = new Folders();
  t.after(() => folders.close());
  assert.deepEqual(await named(walkTree(folders, root, everything)), ['d/file', 'to-file', 'to-folder']);
});

const isLeftOutBy = {
  ENOENT: true,
  ENOTDIR: true,
  EACCES: true,
  EMFILE: false,
  ENFILE: false,
  ENOMEM: false,
  EIO: false,
};

test('a folder that fails fails the walk, but for one that is gone or not for us', async (t) => {
  const root = makeFolder(t, 'tmpfs');
  make(root, ['a/1', 'b/2', 'c/3']);
  for (const [code, isLeftOut] of Object.entries(isLeftOutBy)) {
    const folders = new Folders();
    t.after(() => folders.close());
    const keys = folders.keys.bind(folders);
    folders.keys = async (path, from) => {
      if (path.endsWith('/b/')) throw new SystemError(code, path);
      return keys(path, from);
    };
    const walking = named(walkTree(folders, root, everything));
    if (isLeftOut) assert.deepEqual(await walking, ['a/1', 'c/3'], code);
    else await assert.rejects(walking, { code });
  }
});

test('a root that is not there, or is no folder, is an error', async (t) => {
  const root = makeFolder(t, 'tmpfs');
  make(root, ['file']);
  const folders = new Folders();
  t.after(() => folders.close());
  await assert.rejects(named(walkTree(folders, join(root, 'nowhere'), everything)), { code: 'ENOENT' });
  await assert.rejects(named(walkTree(folders, join(root, 'file'), everything)), { code: 'ENOTDIR' });
});

test('what stays is named once while others come and go', async (t) => {
  const root = makeFolder(t, 'tmpfs');
  const stay = byBytes(Array.from({ length: 300 }, (_, at) => `d${at % 7}/stay${at}`));
  make(root, stay);
  const folders = new Folders({ window: 50 });
  t.after(() => folders.close());
  const seen: string[] = [];
  let at = 0;
  for await (const names of walkTree(folders, root, everything)) {
    seen.push(...names);
    at++;
    make(root, [`d${at % 9}/new${at}`]);
    rmSync(join(root, `d${(at + 3) % 9}/new${at - 4}`), { force: true });
    rmSync(join(root, `d${at % 9}x`), { force: true, recursive: true });
    make(root, [`d${(at + 1) % 9}x/gone`]);
  }
  assert.deepEqual(
    seen.filter((name) => name.includes('stay')),
    stay,
  );
  assert.deepEqual(seen, byBytes([...new Set(seen)]), 'each once, in order');
});
