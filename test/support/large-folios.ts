/** Large folios on tmpfs, where they can be had. @module */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { start } from './process.ts';
import type { Scope } from './scope.ts';

const program = fileURLToPath(new URL('./collapse.py', import.meta.url));

/** Bytes of a huge page on x86. */
export const hugePage = 2 << 20;

/** Has another process, which only reads the file, make huge pages of its pieces at these offsets: 0, or an errno, each. */
export function collapse(path: string, ...offsets: readonly number[]): number[] {
  const printed = execFileSync('python3', ['-I', program, path, ...offsets.map(String)], { encoding: 'latin1' });
  return printed.trim().split('\n').map(Number);
}

/** The same of every second huge page of a file, again and again. `end` tells how often one of them was huge afterwards. */
export function collapseOnAndOn(scope: Scope, path: string): { end(): Promise<number> } {
  const count = Math.floor(statSync(path).size / (2 * hugePage));
  const offsets = Array.from({ length: count }, (_, at) => String(at * 2 * hugePage));
  const child = start(scope, 'python3', ['-I', program, '--on-and-on', path, ...offsets]);
  return {
    async end() {
      child.process.kill('SIGKILL');
      await child.exited;
      return child
        .stdout()
        .split('\n')
        .filter((line) => line === '0').length;
    },
  };
}

/** A tmpfs of its own that goes when the test ends, or why it can't be mounted. */
export function mountTmpfs(scope: Scope, options: string): { folder: string } | { missing: string } {
  const folder = mkdtempSync('/tmp/pagerelay-test-tmpfs-');
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'none', folder], { encoding: 'utf8' });
  scope.after(() => {
    if (mounted.status === 0) execFileSync('umount', ['--lazy', folder]);
    rmdirSync(folder);
  });
  return mounted.status === 0 ? { folder } : { missing: `tmpfs can not be mounted: ${mounted.stderr.trim()}` };
}
