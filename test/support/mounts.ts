/** File systems of a test's own. @module */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import type { Scope } from './scope.ts';

const imageBytes = 512 << 20; // xfs wants 300 MiB at least. It takes no more than what is written to it.

/**
 * Makes a file system, and mounts it on a loop device until the test ends; or why it can't be.
 *
 * @param options of mkfs, and of mount
 */
export function mountLoop(
  scope: Scope,
  type: 'ext4' | 'xfs' | 'btrfs',
  { make = [], mount = '' }: { readonly make?: readonly string[]; readonly mount?: string } = {},
): { folder: string } | { missing: string } {
  const folder = mkdtempSync(`/tmp/pagerelay-test-${type}-`);
  const image = folder.replace('/tmp', '/dev/shm');
  writeFileSync(image, '');
  truncateSync(image, imageBytes);
  const mkfs = spawnSync(`mkfs.${type}`, ['-q', ...make, image], { encoding: 'utf8' });
  const options = `loop${mount && `,${mount}`}`;
  const mounted =
    mkfs.status === 0 && spawnSync('mount', ['-t', type, '-o', options, image, folder], { encoding: 'utf8' });
  const isMounted = mounted && mounted.status === 0;
  scope.after(() => {
    if (isMounted) execFileSync('umount', ['--lazy', folder]);
    rmdirSync(folder);
    rmSync(image);
  });
  if (isMounted) return { folder };
  const why = mounted ? mounted.stderr : (mkfs.error?.message ?? mkfs.stderr);
  return { missing: `${type} can not be made and mounted on a loop device: run the tests as root (${why.trim()})` };
}

/** Mounts a tmpfs of so many bytes, unmounted when the test ends; or why it can't be. */
export function mountTmpfs(scope: Scope, bytes: number): { folder: string } | { missing: string } {
  const folder = mkdtempSync('/tmp/pagerelay-test-tmpfs-');
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'none', folder], { encoding: 'utf8' });
  scope.after(() => {
    // Hooks run in the order of their making: the service that was started later may have files open.
    if (mounted.status === 0) execFileSync('umount', ['--lazy', folder]);
    rmdirSync(folder);
  });
  if (mounted.status === 0) return { folder };
  return { missing: `tmpfs can not be mounted: run the tests as root (${mounted.stderr?.trim()})` };
}
