/** A process that another one takes the place of, at SIGUSR2 (docs/operations.md). @module */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ForwardedAnswer } from '../http/write/forwarding.ts';
import { within } from '../region/within.ts';
import type { Service } from '../service.ts';
import type { Heir } from '../succession.ts';
import { NotNow, type Takeover } from '../takeover.ts';
import { Channel } from './channel.ts';
import { inheritance } from './inherited.ts';
import type { Manager } from './manager.ts';

/** A process that is not ready after so long is none that could serve. */
const startMilliseconds = 60_000;

/** It knows what it is told within so long, or is none that could serve either. */
const takeMilliseconds = 10_000;

/** Starts the process that is to take this one's place: the same command line, with the sockets that this one listens by. */
function startSuccessor(sockets: ReadonlyMap<string, number>): ChildProcess {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    env: { ...process.env, ...inheritance([...sockets.keys()]) },
    stdio: ['inherit', 'inherit', 'inherit', ...sockets.values(), 'ipc'],
    serialization: 'advanced',
  });
  child.unref();
  return child;
}

/** The process that this one has given its place to. */
type Succeeded = { readonly pid: number; readonly channel: Channel };

/**
 * Has another process take this one's place. When this resolves, that one answers; what is in flight is still this one's.
 *
 * @param signal gives the attempt up
 * @throws NotNow when it does not, and this process goes on as before
 */
async function succeed({ takeover, succession }: Service, signal: AbortSignal): Promise<Succeeded> {
  const child = startSuccessor(succession.sockets());
  const channel = new Channel(child);
  channel.unref();
  const ended = endOf(child);
  try {
    const ready = await within(Promise.race([channel.next('ready'), ended]), startMilliseconds, signal);
    if (!ready) throw new NotNow(signal.aborted ? 'this one is to end' : 'it is not ready in time');
    const taken = Promise.race([channel.next('taken'), ended]);
    const given = await takeover.give(ready.tree);
    signal.throwIfAborted();
    await channel.send({ kind: 'take', given });
    if (!(await within(taken, takeMilliseconds, signal))) throw new NotNow('it does not take what it is told');
    succession.passTo(heirBy(channel, takeover));
    takeover.settle(true);
    channel.on('locked', () => takeover.leaveLock(true));
    void channel.closed.then(() => takeover.leaveLock(false));
    channel.tell({ kind: 'go' });
    return { pid: child.pid ?? 0, channel };
  } catch (error) {
    channel.tell({ kind: 'stop' });
    child.kill('SIGKILL'); // It has answered nobody.
    takeover.settle(false);
    throw error instanceof NotNow ? error : new NotNow(String(error), { cause: error });
  }
}

async function endOf(child: ChildProcess): Promise<never> {
  const [code, signal] = await once(child, 'exit');
  throw new NotNow(`it has ended, with ${signal ?? code}`);
}

/** The successor, for what this process still has, and for what that one asks of it. */
function heirBy(channel: Channel, { held }: Takeover): Heir {
  const answers = new Map<number, PromiseWithResolvers<ForwardedAnswer>>();
  let last = 0;
  channel.on('answer', ({ id, answer }) => answers.get(id)?.resolve(answer));
  channel.on('lease', async ({ id, pages }) => {
    channel.tell({ kind: 'leased', id, had: (await held?.lease(id, pages)) ?? true });
  });
  channel.on('end', ({ id }) => held?.end(id));
  void channel.closed.then(() => {
    held?.endAll();
    for (const { reject } of answers.values()) reject(new NotNow('the other process has gone'));
  });
  return {
    sendConnection: (handle, by, unanswered) => channel.send({ kind: 'connection', by, unanswered }, handle),
    released: (files) => channel.tell({ kind: 'released', files }),
    async ask(request) {
      const id = ++last;
      const answer = Promise.withResolvers<ForwardedAnswer>();
      answers.set(id, answer);
      try {
        await channel.send({ kind: 'request', id, request });
        return await answer.promise;
      } finally {
        answers.delete(id);
      }
    },
  };
}

/** Waits for SIGUSR2, at which another process is to take the place of a service. */
export class Followed {
  /** Resolves when one has, and nothing is left here. */
  readonly byAnother: Promise<void>;
  readonly #service: Service;
  readonly #manager: Manager;
  readonly #mayEnd: () => boolean;
  readonly #signal: AbortSignal;
  #attempt: Promise<Succeeded | undefined> | undefined;

  /** @param mayEnd whether nobody asks this process for what others send @param signal gives up what is under way */
  constructor(service: Service, manager: Manager, mayEnd: () => boolean, signal: AbortSignal) {
    this.#service = service;
    this.#manager = manager;
    this.#mayEnd = mayEnd;
    this.#signal = signal;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.byAnother = promise;
    process.on('SIGUSR2', () => void this.#ask().then((isOver) => isOver && resolve(), reject));
  }

  /** Resolves when no attempt is under way. */
  async settled(): Promise<void> {
    await this.#attempt;
  }

  /** This process ends. @param isClean whether everything that was in flight is done */
  async end(isClean: boolean): Promise<void> {
    const succeeded = await this.#attempt;
    if (!succeeded) return;
    // What is quarantined nobody can tell of: its pages stay as they are for a while, as after a crash.
    const { held } = this.#service.takeover;
    if (isClean && held?.isEmpty !== false) await succeeded.channel.send({ kind: 'bye' }).catch(() => {});
    succeeded.channel.close();
  }

  async #ask(): Promise<boolean> {
    const { log } = this.#service.app;
    if (this.#attempt || this.#signal.aborted) {
      log.warn('another process is taking the place of this one already, or it is to end: SIGUSR2 does nothing');
      return false;
    }
    log.info('starting another process to take the place of this one');
    this.#manager.reloading();
    this.#attempt = succeed(this.#service, this.#signal).catch((error: Error) => {
      log.error({ err: error }, 'no other process has taken the place of this one, which goes on');
      return undefined;
    });
    const succeeded = await this.#attempt;
    if (!succeeded) {
      this.#attempt = undefined;
      if (!this.#signal.aborted) this.#manager.ready('no other process has taken the place of this one');
      return false;
    }
    this.#manager.succeededBy(succeeded.pid);
    log.info({ by: succeeded.pid }, 'another process has taken the place of this one, which ends what is in flight');
    await this.#service.succession.leave(this.#mayEnd, this.#signal);
    return true;
  }
}
