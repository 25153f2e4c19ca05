/** Test files that share a process: one for each would take most of a second to load what all of them load. @module */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'node:test';

const folder = join(import.meta.dirname, '..');

/** Which shim a file is about: for tests there is one that can fail, and a process has one or the other. */
export type ShimOfTests = 'shipped' | 'testing';

/** The test files below test/ that match, and have this shim. */
export function batched(shim: ShimOfTests, patterns: readonly string[]): string[] {
  const isTesting = (file: string) => readFileSync(join(folder, file), 'utf8').includes('/testing-shim.ts');
  return globSync(patterns, { cwd: folder })
    .filter((file) => isTesting(file) === (shim === 'testing'))
    .sort();
}

/** Runs them, each as a suite: what a file does before and after its tests is done for these. */
export function batch(shim: ShimOfTests, ...patterns: string[]): void {
  for (const file of batched(shim, patterns)) {
    describe(file, async () => {
      await import(join(folder, file));
    });
  }
}
