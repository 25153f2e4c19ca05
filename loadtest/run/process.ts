/** Programs: compiled where the project ships none, started, and ended with a run. @module */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { RunScope } from './run-scope.ts';

/** A program and its arguments. */
export type Command = readonly [string, ...string[]];

/** Where a server listens. */
export type Address = { readonly port: number; readonly socketPath?: string | undefined };

const startMilliseconds = 30_000;
const stopMilliseconds = 5000;
const pollMilliseconds = 10;

/**
 * Starts a server and waits until it accepts connections. It ends with the scope.
 *
 * @param output the file that gets what it prints
 * @returns its process id
 * @throws Error with what it printed, when it ends or 30 s pass before that
 */
export async function startServer(
  scope: RunScope,
  command: Command,
  address: Address,
  output: string,
): Promise<number> {
  const child = startChild(scope, command, output);
  const deadline = performance.now() + startMilliseconds;
  while ((await whyNoConnection(address)) !== undefined) {
    scope.signal.throwIfAborted();
    const failed = hasEnded(child) || child.pid === undefined;
    if (failed || performance.now() > deadline) {
      const printed = readFileSync(output, 'utf8').slice(-10_000);
      throw new Error(`${command.join(' ')} ${failed ? 'ended' : 'did not start'}: ${printed}`);
    }
    await delay(pollMilliseconds);
  }
  return child.pid ?? 0;
}

/** Why nobody accepts a connection there; undefined when somebody does. */
export function whyNoConnection({ port, socketPath }: Address, host = '127.0.0.1'): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(socketPath === undefined ? { host, port } : { path: socketPath });
    const settle = (result: string | undefined) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(2000, () => settle('no connection for 2 s'));
    socket.once('connect', () => settle(undefined)).once('error', (error) => settle(error.message));
  });
}

/** A port of 127.0.0.1 that nobody listens on now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** As many as a server of a run can need: two for each of 10,000 connections, and some. */
const openFiles = 24_000;

/** A command that may open that many, or as many as are allowed where that is fewer. The process keeps its id. */
export function withManyFiles(command: Command): Command {
  return ['sh', '-c', `ulimit -n ${openFiles} 2>&- || ulimit -n "$(ulimit -Hn)"; exec "$@"`, 'sh', ...command];
}

// A process group of its own: Ctrl-C reaches this program alone, which then ends servers in order, with their workers.
function startChild(scope: RunScope, command: Command, output: string): ChildProcess {
  const into = openSync(output, 'a');
  const [program, ...args] = withManyFiles(command);
  const child = spawn(program, args, { detached: true, stdio: ['ignore', into, into], env: cleanEnvironment() });
  closeSync(into);
  child.on('error', () => {}); // It has no process id then.
  scope.onEnd(
    () => stop(child),
    () => signalGroup(child, 'SIGKILL'),
  );
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return;
  const gone = once(child, 'exit');
  signalGroup(child, 'SIGTERM');
  const forced = setTimeout(() => signalGroup(child, 'SIGKILL'), stopMilliseconds);
  await gone;
  clearTimeout(forced);
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || hasEnded(child)) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

// What this program was told must not reach the servers.
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(PAGERELAY_|NODE_OPTIONS)/.test(name)));
}

const compilerFlags = ['-std=c17', '-O2', '-Wall', '-Wextra', '-Wshadow', '-Wconversion'];

/** Compiles a program in C with `$CC`, or `cc`; returns its path. @throws Error with what the compiler says */
export async function compile(program: string, ...sources: readonly string[]): Promise<string> {
  await promisify(execFile)(process.env.CC ?? 'cc', [...compilerFlags, '-o', program, ...sources]);
  return program;
}
