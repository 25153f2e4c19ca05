import { after } from 'node:test';
import type { Scope } from './scope.ts';

/** A scope that ends with the test file, for what all of its tests share. To be called while the file is loaded. */
export function suiteScope(): Scope {
  const cleanUps: (() => unknown)[] = [];
  after(async () => {
    for (const cleanUp of cleanUps) await cleanUp();
  });
  return { after: (cleanUp) => void cleanUps.push(cleanUp) };
}
