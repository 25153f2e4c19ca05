/** The command line as a child process. @module */
import assert from 'node:assert/strict';
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { until } from './poll.ts';
import type { Scope } from './scope.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

/** How a process ended. */
export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** A child process and what it has printed so far. */
export type Child = {
  readonly process: ChildProcessWithoutNullStreams;
  readonly exited: Promise<Exit>;
  stdout(): string;
  stderr(): string;
};

/** Starts a program; it is killed when the test ends. */
export function start(
  scope: Scope,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Child {
  const child = spawn(program, args, { env: { ...cleanEnvironment(), ...env } });
  const printed = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed.stderr += text;
  });
  const exited = once(child, 'close').then(([code, signal]) => ({ code, signal }) as Exit);
  scope.after(() => child.kill('SIGKILL'));
  return { process: child, exited, stdout: () => printed.stdout, stderr: () => printed.stderr };
}

/** A child process whose standard output and standard error are somebody else's. */
export type Silent = { readonly process: ChildProcess; readonly exited: Promise<Exit> };

/** Runs `pagerelay` with these descriptors as its standard output and standard error; `close` closes one of them first. */
export function startCliOn(
  scope: Scope,
  outputs: readonly [stdout: number | 'ignore', stderr: number | 'ignore'],
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  close = '',
): Silent {
  const command = ['-c', `exec "$0" "$@" ${close}`, process.execPath, ...emulation, cli, ...args];
  const child = spawn('sh', command, { env: { ...cleanEnvironment(), ...env }, stdio: ['ignore', ...outputs] });
  const exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }) as Exit);
  scope.after(() => child.kill('SIGKILL'));
  return { process: child, exited };
}

// What an emulated Node is started with goes for those that it starts (test/pmem/host/steps.ts).
const emulation = process.execArgv.filter((flag) => flag.startsWith('--no-wasm-'));

/** Runs `pagerelay` with these arguments. */
export function startCli(scope: Scope, args: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
  return start(scope, process.execPath, [...emulation, cli, ...args], env);
}

/** The same, as an argument list for a program that runs programs. */
export function cliCommand(args: readonly string[]): string[] {
  return [process.execPath, ...emulation, cli, ...args];
}

/** Waits until a started service prints where it listens. */
export async function originOf(child: Child): Promise<string> {
  const listening = /pagerelay listens on (http:\/\/\S+)/;
  await until(
    () => listening.test(child.stderr()),
    'the service listens',
    () => child.stderr(),
  );
  return listening.exec(child.stderr())?.[1] ?? '';
}

/** Resolves when a service has put right what the last run left behind: changes wait for that, which readers do not. */
export async function untilPutRight(origin: string): Promise<void> {
  const nothing = { method: 'DELETE', headers: { prefer: 'wait=120' } };
  assert.equal((await fetch(`${origin}/regions/of-nobody`, nothing)).status, 404);
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(PAGERELAY_|NODE_TEST)/.test(name)));
}
