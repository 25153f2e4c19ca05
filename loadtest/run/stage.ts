/** What runs loads: client processes that are warm from one load to the next, and the client in C, made when it is needed. @module */
import { tmpdir } from 'node:os';
import { type CClient, compileClient, connectC, type Marks, runC } from '../clients/c.ts';
import { startClient } from '../clients/client-process.ts';
import type { Job } from '../clients/job.ts';
import type { ClientResult } from '../clients/tally.ts';
import { pinned } from '../measure/pin.ts';
import type { RunOptions } from '../options.ts';
import type { FieldContext } from './field.ts';
import type { Command } from './process.ts';

/** What runs the loads of a run. */
export type Stage = ReturnType<typeof stageOf>;

/** Starts the clients of a run, which end with it. */
export function stageOf({ scope, pins, clock }: FieldContext, options: RunOptions, signal: AbortSignal) {
  const { profile, maxRequests: most, settleSeconds } = options;
  const pin = (command: Command) => pinned(pins(1)?.client, command);
  const main = startClient(scope, pin, signal);
  const checker = profile.clients === 'checking' ? startClient(scope, pin, signal) : undefined;
  let made: Promise<CClient> | undefined;
  const fastest = () => {
    const folder = scope.folder(tmpdir());
    made ??= compileClient(folder).then((program) => ({ command: pin([program]), folder }));
    return made;
  };
  return {
    /** Runs a job by its client. `verifies`: bodies are compared by the client in C. */
    async load(job: Job, marks?: Marks, verifies = false): Promise<ClientResult> {
      if (job.client === 'c') return runC(await fastest(), job, signal, verifies, marks);
      marks?.began();
      return main.ask<ClientResult>(job, job.seconds).finally(() => marks?.ended());
    },
    /** The reader beside a load; undefined where none is wanted. */
    check: checker && ((job: Job) => checker.ask<ClientResult>(job, job.seconds)),
    /** Makes connections by the client in C, which keeps them. */
    connect: async (job: Job) => connectC(await fastest(), job, signal),
    ...{ profile, settleSeconds, signal, clock },
    /** Requests of one load, at most. */
    most,
  };
}
