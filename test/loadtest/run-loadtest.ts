/** Runs the harness as people do, for a moment. @module */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Results } from '../../loadtest/report/results.ts';
import { type Child, start } from '../support/process.ts';
import type { Scope } from '../support/scope.ts';

const program = fileURLToPath(new URL('../../loadtest/main.ts', import.meta.url));

/** A folder that goes with the test. */
export function folderFor(scope: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), 'pagerelay-loadtest-'));
  scope.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A run under way. */
export function startLoadtest(scope: Scope, ...args: readonly string[]): Child {
  return start(scope, process.execPath, [program, ...args]);
}

/** A run that has ended, with the folder that it has left. */
export async function runLoadtest(scope: Scope, ...args: readonly string[]) {
  const out = folderFor(scope);
  const child = startLoadtest(scope, ...args, '--out', out);
  const { code } = await child.exited;
  const [left] = readdirSync(out);
  const folder = left === undefined ? undefined : join(out, left);
  const results =
    folder === undefined ? undefined : (JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as Results);
  return { code, folder, results, printed: child.stdout() + child.stderr() };
}
