/** The C programs that the guest runs, compiled by this machine, whose files it shares. @module */
import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repository } from './guest.ts';

const run = promisify(execFile);
const flags = '-std=c17 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Wshadow -Wconversion -Werror -pthread'.split(' ');

/** The native tests that are about the kernel: what it does differs from one to the next. */
export const nativeTests = [
  'peer',
  'nocopy',
  'send',
  'done',
  'halfclose',
  'hugetlb',
  'oracle',
  'fresh',
  'files',
  'nodes',
];

/** Where each program is. */
export type Programs = Readonly<Record<'dax' | 'devdax' | 'fill', string>>;

/** Compiles the programs of this folder into another one. Without sanitizers: the guest is slow enough. */
export async function buildPrograms(folder: string): Promise<Programs> {
  await mkdir(folder, { recursive: true });
  const shim = join(repository, 'native-shim');
  const testing = [join(shim, 'test', 'test.c'), join(shim, 'testing', 'faults.c')];
  const core = [...testing, ...globSync(join(shim, 'core', '**', '*.c'))];
  const build = async (name: string, sources: readonly string[]) => {
    const program = join(folder, name);
    await run('cc', [...flags, '-DPR_TESTING', `-I${join(shim, 'core')}`, `-I${shim}`, '-o', program, ...sources]);
    return program;
  };
  const source = (path: string) => join(repository, 'test', 'pmem', path);
  const [dax, devdax, fill] = await Promise.all([
    build('dax', [source('native/dax.c'), ...core]),
    build('devdax', [source('native/devdax.c'), ...core]),
    build('fill', [source('native/fill.c')]),
  ]);
  return { dax, devdax, fill };
}

/** Compiles native tests where `npm run test:native` has them; gives their paths. */
export async function buildNativeTests(): Promise<string[]> {
  const folder = join(repository, 'native-shim', 'test');
  await run('make', ['-C', folder, '-j2', ...nativeTests.map((name) => `build/plain/${name}`)]);
  return nativeTests.map((name) => join(folder, 'build', 'plain', name));
}
