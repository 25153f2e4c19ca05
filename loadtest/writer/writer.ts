/** A writer in a process of its own, so that it takes no time of whoever measures. @module */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Command } from '../run/process.ts';
import type { RunScope } from '../run/run-scope.ts';
import type { WriteResult, Writes } from './writing.ts';

const program = fileURLToPath(new URL('program.ts', import.meta.url));

/** Writes when it is told to, and does nothing in between. */
export type Writer = {
  /** `rate`: instead of its own. */
  readonly start: (rate?: number) => void;
  readonly end: () => Promise<WriteResult>;
};

/** Starts the process, which ends with the scope. */
export function startWriter(scope: RunScope, pin: (command: Command) => Command, writes: Writes): Writer {
  const [first, ...args] = pin([process.execPath, program]);
  const child = spawn(first, args, { detached: true, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const gone = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the writer ended: ${signal ?? code}`);
  });
  gone.catch(() => {});
  const kill = () => void child.kill('SIGKILL');
  const finish = async () => {
    kill();
    await gone.catch(() => {});
  };
  scope.onEnd(finish, kill);
  return {
    start: (rate = writes.rate) => void child.send({ ...writes, rate }),
    async end() {
      const answer = once(child, 'message', { signal: scope.signal });
      child.send('end');
      const [result] = await Promise.race([answer, gone]);
      return result as WriteResult;
    },
  };
}
