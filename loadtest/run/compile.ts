/** C programs, compiled when they are needed: the project ships none. @module */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const flags = ['-std=c17', '-O2', '-Wall', '-Wextra', '-Wshadow', '-Wconversion'];

/** Compiles a program with `$CC`, or `cc`; returns its path. @throws Error with what the compiler says */
export async function compile(program: string, ...sources: readonly string[]): Promise<string> {
  await promisify(execFile)(process.env.CC ?? 'cc', [...flags, '-o', program, ...sources]);
  return program;
}
