/** How much memory is left, as the files of the kernel tell it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { memoryLeft } from '../../src/relay/memory.ts';

/** A root of these files. */
function rootOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'pagerelay-memory-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const meminfo = { 'proc/meminfo': 'MemTotal:       1000 kB\nMemFree:  5 kB\nMemAvailable:    600 kB\n' };
const machine = { all: 1000 * 1024, left: 600 * 1024 };

const groupOf = (folder: string, max: string, used: number, stat: string) => ({
  [`${folder}/memory.max`]: `${max}\n`,
  [`${folder}/memory.current`]: `${used}\n`,
  [`${folder}/memory.stat`]: stat,
});

test('without control groups it is what the machine has', (t) => {
  assert.deepEqual(memoryLeft(rootOf(t, meminfo)), machine);
});

test('where nobody can tell it is not known', (t) => {
  assert.equal(memoryLeft(rootOf(t, {})), undefined);
});

test('it is what a group leaves, with the page cache that can be dropped', (t) => {
  const stat = 'anon 100\ninactive_file 300\nactive_file 20\nslab_reclaimable 1\nshmem 7\n';
  const files = { ...meminfo, 'proc/self/cgroup': '0::/a/b\n', ...groupOf('sys/fs/cgroup/a/b', '1000', 900, stat) };
  assert.deepEqual(memoryLeft(rootOf(t, files)), { all: 1000, left: 421 });
});

test('it is the tightest of the groups around, and one without a limit is none', (t) => {
  const files = {
    ...meminfo,
    'proc/self/cgroup': '0::/a/b/c\n',
    ...groupOf('sys/fs/cgroup/a/b/c', 'max', 900, ''),
    ...groupOf('sys/fs/cgroup/a/b', '5000', 900, ''),
    ...groupOf('sys/fs/cgroup/a', '2000', 1900, ''),
  };
  assert.deepEqual(memoryLeft(rootOf(t, files)), { all: 2000, left: 100 });
  const unlimited = { ...meminfo, 'proc/self/cgroup': '0::/a\n', ...groupOf('sys/fs/cgroup/a', 'max', 9, '') };
  assert.deepEqual(memoryLeft(rootOf(t, unlimited)), machine);
});

test('a container sees its own group at the root of the mount', (t) => {
  const files = { ...meminfo, 'proc/self/cgroup': '0::/../x\n', ...groupOf('sys/fs/cgroup', '700', 600, '') };
  assert.deepEqual(memoryLeft(rootOf(t, files)), { all: 700, left: 100 });
});

test('control groups of version 1 are known too', (t) => {
  const folder = 'sys/fs/cgroup/memory/a';
  const files = {
    ...meminfo,
    'proc/self/cgroup': '3:cpu:/z\n4:memory:/a\n0::/\n',
    [`${folder}/memory.limit_in_bytes`]: '1000\n',
    [`${folder}/memory.usage_in_bytes`]: '990\n',
    [`${folder}/memory.stat`]: 'inactive_file 1\ntotal_inactive_file 50\ntotal_active_file 5\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    'sys/fs/cgroup/memory/memory.usage_in_bytes': '99000\n',
  };
  assert.deepEqual(memoryLeft(rootOf(t, files)), { all: 1000, left: 65 });
});

test('of this machine it is known', () => {
  const { all, left } = memoryLeft() ?? assert.fail();
  assert.ok(left > 0 && left <= all, `${left} of ${all}`);
});
