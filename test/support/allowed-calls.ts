/** Programs under the filter of system calls that a unit of systemd asks for. @module */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from './regions.ts';
import type { Scope } from './scope.ts';

/** The system calls that the lines of `SystemCallFilter` in a unit leave, as this machine's systemd knows their sets. */
export function allowedCalls(unit: string): string[] {
  const sets = systemCallSets();
  const expand = (name: string): string[] => (name.startsWith('@') ? (sets.get(name) ?? []).flatMap(expand) : [name]);
  const allowed = new Set<string>();
  for (const [, value = ''] of readFileSync(unit, 'utf8').matchAll(/^SystemCallFilter=(.*)$/gm)) {
    const isRefusing = value.startsWith('~');
    const names = value.replace(/^~/, '').split(/\s+/).flatMap(expand);
    for (const name of names) isRefusing ? allowed.delete(name) : allowed.add(name);
  }
  // What systemd itself needs to run a program under any filter.
  for (const name of expand('@default')) allowed.add(name);
  for (const name of ['execve', 'rt_sigreturn', 'exit', 'exit_group']) allowed.add(name);
  return [...allowed];
}

function systemCallSets(): Map<string, string[]> {
  const { stdout } = spawnSync('systemd-analyze', ['--no-pager', 'syscall-filter'], { encoding: 'utf8' });
  const sets = new Map<string, string[]>();
  for (const block of stdout.split(/\n(?=@)/)) {
    const [name = '', ...lines] = block.split('\n').map((line) => line.trim());
    sets.set(
      name,
      lines.filter((line) => /^@?[a-z0-9_-]+$/.test(line)),
    );
  }
  return sets;
}

/** Compiles a program that runs another one under a filter that refuses all but these calls, by EPERM. Gives its path. */
export function compileAllowing(scope: Scope, calls: readonly string[]): string {
  const folder = makeFolder(scope, 'ext4');
  const source = join(folder, 'allow-calls.c');
  const program = join(folder, 'allow-calls');
  const entries = calls.map((call) => `#ifdef SYS_${call}\n    SYS_${call},\n#endif`).join('\n');
  writeFileSync(source, sourceOf(entries));
  const { status, stderr } = spawnSync('cc', ['-O1', '-Wall', '-o', program, source], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return program;
}

function sourceOf(entries: string): string {
  return `#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const unsigned allowed[] = {
${entries}
};
enum { COUNT = sizeof allowed / sizeof *allowed };
static struct sock_filter program[2 * COUNT + 2];

int main(int count, char **arguments) {
    unsigned short length = 0;
    if (count < 2) return 2;
    program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int at = 0; at < COUNT; at++) {
        program[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[at], 0, 1);
        program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    struct sock_fprog filter = {.len = length, .filter = program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        return perror("seccomp"), 1;
    execv(arguments[1], arguments + 1);
    perror(arguments[1]);
    return 1;
}
`;
}
