/** What runs loads: client processes that are warm from one load to the next, and the client in C, made when it is needed. @module */
import { tmpdir } from 'node:os';
import { type CClient, type Connected, compileClient, connectC, runC } from '../clients/c.ts';
import { startClient } from '../clients/client-process.ts';
import type { Job } from '../clients/job.ts';
import type { ClientResult } from '../clients/tally.ts';
import { pinned } from '../measure/pin.ts';
import type { Profile } from '../model/scenario.ts';
import type { RunOptions } from '../options.ts';
import type { FieldContext } from './field.ts';
import type { Patience } from './judge.ts';
import type { Command } from './process.ts';

/** Called right before a load begins and after it has ended: what connecting costs is no part of it. */
export type Marks = { readonly began: () => void; readonly ended: () => void };

/** @see stageOf */
export type Stage = Patience & {
  /** Runs a job by its client. `verifies`: bodies are compared by the client in C. */
  readonly load: (job: Job, marks?: Marks, verifies?: boolean) => Promise<ClientResult>;
  /** The reader beside a load; undefined where none is wanted. */
  readonly check: ((job: Job) => Promise<ClientResult>) | undefined;
  /** Makes connections by the client in C, which keeps them. */
  readonly connect: (job: Job) => Promise<Connected>;
  readonly profile: Profile;
  /** Requests of one load, at most. */
  readonly most: number;
  readonly clock: () => number;
};

/** Starts the clients of a run, which end with it. */
export function stageOf({ scope, pins, clock }: FieldContext, options: RunOptions, signal: AbortSignal): Stage {
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
    async load(job, marks, verifies = false) {
      if (job.client === 'c') return runC(await fastest(), job, signal, verifies, marks);
      marks?.began();
      return main.ask<ClientResult>(job, job.seconds).finally(() => marks?.ended());
    },
    check: checker && ((job) => checker.ask(job, job.seconds)),
    connect: async (job) => connectC(await fastest(), job, signal),
    ...{ profile, most, settleSeconds, signal, clock },
  };
}
