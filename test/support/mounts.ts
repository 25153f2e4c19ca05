/** File systems of a test's own. @module */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import type { Scope } from './scope.ts';

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
