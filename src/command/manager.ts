/** What the service tells the manager that has started it, such as systemd (sd_notify(3)). @module */
import { sendDatagram } from '../relay/notify.ts';

/** What a manager is told; nothing where there is none. */
export class Manager {
  readonly #socket: string | undefined;
  readonly #watchdog: number;
  readonly #report: (why: string) => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param report is told once why nothing can be told */
  constructor(env: Readonly<Record<string, string | undefined>>, report: (why: string) => void) {
    this.#socket = env.NOTIFY_SOCKET || undefined;
    this.#watchdog = Number(env.WATCHDOG_USEC) / 1000 || 0;
    this.#report = report;
  }

  /** The service answers. */
  ready(status: string): void {
    this.#tell('READY=1', `STATUS=${status}`);
    this.watch();
  }

  /** It reads files anew, or another process is to take its place; `ready` says that this is over. */
  reloading(): void {
    this.#tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  /** Another process is the service from now on, and ready. */
  succeededBy(pid: number): void {
    this.#stopWatching();
    this.#tell(`MAINPID=${pid}`, 'READY=1', `STATUS=process ${pid} answers`);
  }

  /** It ends. */
  stopping(): void {
    this.#tell('STOPPING=1', 'STATUS=draining');
  }

  /** Tells twice in each of the manager's periods that the event loop turns, where it wants to be told. */
  watch(): void {
    if (this.#watchdog <= 0 || this.#timer) return;
    this.#timer = setInterval(() => this.#tell('WATCHDOG=1'), this.#watchdog / 2).unref();
  }

  #stopWatching(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tell(...lines: readonly string[]): void {
    if (this.#socket === undefined) return;
    const why = sendDatagram(this.#socket, lines.join('\n'));
    if (why !== undefined) this.#report(why);
  }
}
