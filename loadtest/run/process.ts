/** Servers as child processes. @module */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunScope } from '../run-scope.ts';

/** A server that runs. */
export type Server = { readonly pid: number; readonly port: number };

/** A program and its arguments. */
export type Command = readonly [string, ...string[]];

const startMilliseconds = 15_000;
const stopMilliseconds = 5000;
const pollMilliseconds = 10;

/**
 * Starts a server that prints the address it listens on, and waits for that. It ends with the scope.
 *
 * @throws Error with what it printed, when it ends or 15 s pass before that
 */
export async function startServer(scope: RunScope, command: Command): Promise<Server> {
  const child = startChild(scope, command);
  await child.until(() => listeningPort(child.printed()) !== undefined);
  return { pid: child.pid, port: listeningPort(child.printed()) ?? 0 };
}

/** Starts a server that says nothing, and waits until it answers on the port that it was given. @see startServer */
export async function startSilentServer(scope: RunScope, command: Command, port: number): Promise<Server> {
  const child = startChild(scope, command);
  await child.until(() => answers(port));
  return { pid: child.pid, port };
}

/** The port in the first http://127.0.0.1 address of a text. */
export function listeningPort(text: string): number | undefined {
  const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
  return port === undefined ? undefined : Number(port);
}

async function answers(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'HEAD', signal: AbortSignal.timeout(1000) });
    await response.body?.cancel();
    return true;
  } catch {
    return false;
  }
}

/** As many as a peer of this benchmark can need: two for each of 10,000 connections, and some. */
const openFiles = 24_000;

// As many open files as are allowed, where that is fewer. The process keeps its id.
const raising = `ulimit -n ${openFiles} 2>&- || ulimit -n "$(ulimit -Hn)"; exec "$@"`;

// A process group of its own: Ctrl-C reaches this program alone, which then ends servers in order, with their workers.
function startChild(scope: RunScope, [program, ...args]: Command) {
  const child = spawn('sh', ['-c', raising, 'sh', program, ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnvironment(),
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed = (printed + text).slice(-10_000);
    });
  }
  child.on('error', (error) => {
    printed += error.message;
  });
  scope.onEnd(
    () => stop(child),
    () => signalGroup(child, 'SIGKILL'),
  );
  const until = async (ready: () => boolean | Promise<boolean>): Promise<void> => {
    const deadline = performance.now() + startMilliseconds;
    while (!(await ready())) {
      scope.signal.throwIfAborted();
      const failed = hasEnded(child) || child.pid === undefined;
      if (failed || performance.now() > deadline) {
        throw new Error(`${program} ${args.join(' ')} ${failed ? 'ended' : 'did not start'}: ${printed}`);
      }
      await delay(pollMilliseconds);
    }
  };
  return { pid: child.pid ?? 0, printed: () => printed, until };
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
