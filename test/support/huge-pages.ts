/** Huge pages for a test, where they can be had. @module */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from './scope.ts';

const total = '/proc/sys/vm/nr_hugepages';
const usual = '/dev/hugepages';
const magic = 0x958458f6; // HUGETLBFS_MAGIC

/** Bytes, where the test has them made: 2 MiB is the default on x86. */
export const hugePage = 2 ** 21;

const meminfo = (name: string) =>
  Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0);

/**
 * Has the kernel set aside so many huge pages more until the test ends.
 *
 * @returns why they can't be had, and what to do about it; undefined when they are there
 */
export function addHugePages(scope: Scope, count: number): string | undefined {
  if (meminfo('Hugepagesize') !== hugePage / 1024) return 'huge pages of 2 MiB are not the default here';
  const change = (by: number) => writeFileSync(total, String(Math.max(0, Number(readFileSync(total, 'latin1')) + by)));
  try {
    change(count);
  } catch {
    return `${total} can not be written: run the tests as root, in a container with --privileged`;
  }
  scope.after(() => change(-count));
  const free = meminfo('HugePages_Free') - meminfo('HugePages_Rsvd');
  return free < count ? `the kernel found ${free} of ${count} huge pages: free some memory` : undefined;
}

/** A folder on hugetlbfs that goes when the test ends, or why there is none. */
export function makeHugeFolder(scope: Scope): { folder: string } | { missing: string } {
  if (isHugetlbfs(usual)) {
    const folder = mkdtempSync(join(usual, 'pagerelay-test-'));
    scope.after(() => rmSync(folder, { recursive: true, force: true }));
    return { folder };
  }
  const folder = mkdtempSync('/tmp/pagerelay-test-huge-');
  const mounted = spawnSync('mount', ['-t', 'hugetlbfs', 'none', folder], { encoding: 'utf8' });
  scope.after(() => {
    if (mounted.status === 0) execFileSync('umount', [folder]);
    rmdirSync(folder);
  });
  return mounted.status === 0 ? { folder } : { missing: `hugetlbfs can not be mounted: ${mounted.stderr.trim()}` };
}

function isHugetlbfs(folder: string): boolean {
  return statSync(folder, { throwIfNoEntry: false }) !== undefined && statfsSync(folder).type === magic;
}

/** Makes a file of huge pages. hugetlbfs has no write(2), so that another program stores to a mapping. */
export function writeHugeFile(path: string, bytes: Uint8Array): void {
  const program = [
    'import mmap, os, sys',
    'bytes = sys.stdin.buffer.read()',
    'fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)',
    'os.ftruncate(fd, len(bytes))',
    'mmap.mmap(fd, len(bytes))[:] = bytes',
  ].join('\n');
  execFileSync('python3', ['-c', program, path], { input: bytes });
}
