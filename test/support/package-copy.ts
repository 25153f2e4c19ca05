/** The package as it is published, built beside the working tree. @module */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeFolder } from './regions.ts';
import type { Scope } from './scope.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const binaries = join(root, 'node_modules', '.bin');
const shim = join('native-shim', 'build', 'Release');

/** The project's own dependencies. */
export const dependencies = join(root, 'node_modules');

/** Copies what a clone has, but for dependencies and what is built, and builds `dist`, where `leftOver` is before. */
export async function buildCopy(scope: Scope, leftOver: string): Promise<string> {
  const copy = join(makeFolder(scope, 'ext4'), 'pagerelay');
  const skipped = ['node_modules', '.git', 'dist', join('native-shim', 'build')].map((path) => join(root, path));
  cpSync(root, copy, { recursive: true, filter: (path) => !skipped.some((skip) => isInside(path, skip)) });
  symlinkSync(dependencies, join(copy, 'node_modules'));
  if (existsSync(join(root, shim))) {
    mkdirSync(join(copy, shim), { recursive: true });
    cpSync(join(root, shim, 'pagerelay.node'), join(copy, shim, 'pagerelay.node'));
  }
  mkdirSync(join(copy, dirname(leftOver)));
  writeFileSync(join(copy, leftOver), 'export {};\n');
  await runIn(copy, 'npm', 'run', 'build');
  return copy;
}

/** Runs a program to its end, with the project's Node first in the path, and gives its output. */
export async function runIn(folder: string, program: string, ...args: string[]): Promise<string> {
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_TEST|PAGERELAY_)/.test(name));
  const env = {
    ...Object.fromEntries(kept),
    ...keptConfiguration(),
    PATH: [binaries, process.env.PATH].join(delimiter),
  };
  try {
    return (await run(program, args, { cwd: folder, env, maxBuffer: 1 << 26 })).stdout;
  } catch (cause) {
    const { stdout = '', stderr = '' } = cause as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args.join(' ')}\n${stdout}\n${stderr}`, { cause });
  }
}

// npm passes its flags on as variables, which would steer the npm that a test runs. Where headers are is the machine's.
function keptConfiguration(): Record<string, string> {
  const { npm_config_nodedir: nodedir } = process.env;
  return nodedir === undefined ? {} : { npm_config_nodedir: nodedir };
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder + sep);
}
