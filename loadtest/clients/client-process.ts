/** Clients in processes of their own, warm from one job to the next. @module */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Command } from '../run/process.ts';
import type { RunScope } from '../run/run-scope.ts';
import type { ClientResult, Job } from './job.ts';

const program = fileURLToPath(new URL('program.ts', import.meta.url));

/** What a job may take beyond its time, until it is given up. */
const graceMilliseconds = 60_000;

/** Runs one job at a time. */
export type ClientProcess = { readonly pid: number; readonly run: (job: Job) => Promise<ClientResult> };

/** A client that has ended, or that does not. */
export class ClientFailed extends Error {
  override readonly name = 'ClientFailed';
}

/**
 * Starts one, which ends with the scope.
 *
 * @param signal ends the waiting for a job
 */
export function startClient(scope: RunScope, pin: (command: Command) => Command, signal: AbortSignal): ClientProcess {
  const [first, ...args] = pin([process.execPath, program]);
  const child = spawn(first, args, { detached: true, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const gone = once(child, 'exit').then(([code, killed]) => {
    throw new ClientFailed(`a load client ended: ${killed ?? code}`);
  });
  gone.catch(() => {});
  const kill = () => void child.kill('SIGKILL');
  const end = async () => {
    kill();
    await gone.catch(() => {});
  };
  scope.onEnd(end, kill);
  return {
    pid: child.pid ?? 0,
    async run(job) {
      const late = AbortSignal.timeout(job.seconds * 1000 + graceMilliseconds);
      const answer = once(child, 'message', { signal: AbortSignal.any([signal, late]) });
      child.send(job);
      try {
        const [result] = await Promise.race([answer, gone]);
        return result as ClientResult;
      } catch (error) {
        if (!late.aborted || signal.aborted) throw error;
        const waited = job.seconds + graceMilliseconds / 1000;
        throw new ClientFailed(`a load client did not end in ${waited} s`, { cause: error });
      }
    },
  };
}
