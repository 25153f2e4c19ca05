/** C programs, compiled when they are needed: the project ships none. @module */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const flags = ['-std=c17', '-O2', '-Wall', '-Wextra', '-Wshadow', '-Wconversion'];

/**
 * Compiles a program into a folder with `$CC`, or `cc`.
 *
 * @param sources absolute paths
 * @returns where it is
 * @throws Error with what the compiler says
 */
export async function compile(folder: string, name: string, sources: readonly string[]): Promise<string> {
  const program = join(folder, name);
  await run(process.env.CC ?? 'cc', [...flags, '-o', program, ...sources]);
  return program;
}
