/** Programs under a seccomp filter that refuses system calls. @module */
import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, cliCommand, start } from './process.ts';
import { makeFolder } from './regions.ts';
import type { Scope } from './scope.ts';

const source = fileURLToPath(new URL('./refuse-calls.c', import.meta.url));

/** Runs `pagerelay` under a filter that answers these calls by an errno. */
export type Refusing = (
  scope: Scope,
  errno: 'EPERM' | 'ENOSYS',
  calls: readonly string[],
  args: readonly string[],
) => Child;

/** Compiles what installs the filter, or tells why it can't be. */
export function compileFilter(scope: Scope): Refusing | { missing: string } {
  const program = join(makeFolder(scope, 'ext4'), 'refuse-calls');
  const compiled = spawnSync('cc', ['-O1', '-Wall', '-Werror', '-o', program, source], { encoding: 'utf8' });
  if (compiled.error) return { missing: 'there is no C compiler: apt-get install gcc' };
  if (compiled.status !== 0) throw new Error(compiled.stderr);
  const tried = spawnSync(program, ['1', 'vmsplice', '/bin/true'], { encoding: 'utf8' });
  if (tried.status !== 0) return { missing: `no filter can be installed here: ${tried.stderr.trim()}` };
  return (own, errno, calls, args) =>
    start(own, program, [String(constants.errno[errno]), calls.join(','), ...cliCommand(args)]);
}
