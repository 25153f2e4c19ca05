/** Clients in processes of their own, warm from one job to the next. @module */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Command } from '../run/process.ts';
import type { RunScope } from '../run-scope.ts';
import type { ClientResult, Job } from './job.ts';

const program = fileURLToPath(new URL('program.ts', import.meta.url));

/** What a job may take beyond its time, until it is given up. */
const graceMilliseconds = 60_000;

/** Runs one job at a time. */
export type ClientProcess = { readonly pid: number; readonly run: (job: Job) => Promise<ClientResult> };

/** Starts one, which ends with the scope. */
export function startClient(scope: RunScope, pin: (command: Command) => Command): ClientProcess {
  const [first, ...args] = pin([process.execPath, program]);
  const child = spawn(first, args, { detached: true, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const gone = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`a load client ended: ${signal ?? code}`);
  });
  gone.catch(() => {});
  const kill = () => void child.kill('SIGKILL');
  scope.onEnd(async () => kill(), kill);
  return {
    pid: child.pid ?? 0,
    async run(job) {
      const late = AbortSignal.timeout(job.seconds * 1000 + graceMilliseconds);
      const answer = once(child, 'message', { signal: AbortSignal.any([scope.signal, late]) });
      child.send(job);
      const [result] = await Promise.race([answer, gone]);
      return result as ClientResult;
    },
  };
}
