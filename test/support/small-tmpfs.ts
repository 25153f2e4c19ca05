import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import type { Scope } from './scope.ts';

/** Mounts a tmpfs of a size such as `4m` on a folder, until the scope ends. False, and the test skipped, where none can be. */
export function mountTmpfs(t: TestContext, scope: Scope, dir: string, size: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', dir], { stdio: 'pipe' });
  } catch (error) {
    const why = `SKIP: a small tmpfs can't be mounted: ${error instanceof Error ? error.message : error}`;
    if (process.env.CI) assert.fail(why);
    t.skip(why);
    return false;
  }
  scope.after(() => execFileSync('umount', ['-l', dir]));
  return true;
}
