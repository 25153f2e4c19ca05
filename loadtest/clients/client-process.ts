/** Clients and writers in processes of their own, warm from one job to the next. @module */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Command } from '../run/process.ts';
import type { RunScope } from '../run/run-scope.ts';
import type { Job } from './job.ts';
import type { WriteResult, Writes } from './writing.ts';

const program = fileURLToPath(new URL('program.ts', import.meta.url));

/** What an answer may take beyond its time, until it is given up. */
const graceMilliseconds = 60_000;

/** A process that has ended, or that does not answer. */
export class ClientFailed extends Error {
  override readonly name = 'ClientFailed';
}

/** Starts a process that runs program.ts. It ends with the scope; `signal` ends the waiting for an answer. */
export function startClient(scope: RunScope, pin: (command: Command) => Command, signal: AbortSignal) {
  const [first, ...args] = pin([process.execPath, program]);
  const child = spawn(first, args, { detached: true, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const gone = once(child, 'exit').then(([code, killed]) => {
    throw new ClientFailed(`a load client ended: ${killed ?? code}`);
  });
  gone.catch(() => {});
  const kill = () => void child.kill('SIGKILL');
  scope.onEnd(async () => {
    kill();
    await gone.catch(() => {});
  }, kill);
  return {
    tell: (writes: Writes) => void child.send(writes),
    /** Resolves to the answer, which is to come after so many seconds. One question at a time. */
    async ask<Answer>(what: Job | 'end', seconds: number): Promise<Answer> {
      const late = AbortSignal.timeout(seconds * 1000 + graceMilliseconds);
      const answer = once(child, 'message', { signal: AbortSignal.any([signal, late]) });
      child.send(what);
      try {
        return (await Promise.race([answer, gone]))[0];
      } catch (error) {
        if (!late.aborted || signal.aborted) throw error;
        throw new ClientFailed(`a load client did not end in ${seconds + graceMilliseconds / 1000} s`, {
          cause: error,
        });
      }
    },
  };
}

/** Writes when it is told to, and does nothing in between. */
export type Writer = ReturnType<typeof startWriter>;

/** Starts a process that writes, so that writing takes no time of whoever measures. It ends with the scope. */
export function startWriter(scope: RunScope, pin: (command: Command) => Command, writes: Writes) {
  const { tell, ask } = startClient(scope, pin, scope.signal);
  return {
    /** `rate`: instead of its own. */
    start: (rate = writes.rate) => tell({ ...writes, rate }),
    end: () => ask<WriteResult>('end', 0),
  };
}
