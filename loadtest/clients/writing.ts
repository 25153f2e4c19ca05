/** Overwrites bytes of a region in place at a steady rate. @module */
import { randomFillSync, randomInt } from 'node:crypto';
import { Pool } from 'undici';
import { stampedBytes } from './stamped.ts';

/** What to write: `size` bytes at random pages of a region. */
export type Writes = {
  readonly port: number;
  readonly path: string;
  readonly size: number;
  readonly regionBytes: number;
  /** Writes a second, evenly spaced, whether earlier ones are answered or not. */
  readonly rate: number;
  /** At multiples of `size`, with bytes that say which write they are of (clients/stamped.ts). */
  readonly isStamped?: boolean;
};

/** What became of them. */
export type WriteResult = Awaited<ReturnType<Writing['end']>>;

/** So many writes may be unanswered, each on a connection of its own. */
export const mostUnanswered = 16;

/** What a write waits for its pages, by `Prefer: wait`: bounds the end of a run as well. */
export const waitSeconds = 1;

const pageSize = 4096;
const answerMilliseconds = 10_000;

/** Writing that is under way. */
export class Writing {
  readonly #writes: Writes;
  readonly #pool: Pool;
  readonly #body: Uint8Array;
  readonly #cpuBefore = process.cpuUsage();
  readonly #began = performance.now();
  readonly #unanswered = new Set<Promise<void>>();
  readonly #milliseconds: number[] = [];
  /** Answered 409 in time; due, but not sent, for too many were unanswered; answered otherwise, or not at all. */
  readonly #counts = { busy: 0, missed: 0, errors: 0, firstError: null as string | null };
  #due = 0;
  #stamp = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(writes: Writes) {
    this.#writes = writes;
    this.#body = randomFillSync(new Uint8Array(writes.size));
    const times = { headersTimeout: answerMilliseconds, bodyTimeout: answerMilliseconds };
    this.#pool = new Pool(`http://127.0.0.1:${writes.port}`, { connections: mostUnanswered, ...times });
    this.#writeWhatIsDue();
  }

  /** Writes no more, and waits for the answers that are still to come. */
  async end() {
    clearTimeout(this.#timer);
    const seconds = (performance.now() - this.#began) / 1000;
    await Promise.all(this.#unanswered);
    await this.#pool.close();
    const { user, system } = process.cpuUsage(this.#cpuBefore);
    return {
      ...this.#counts,
      /** Of writing, without the wait for the last answers. */
      seconds,
      /** Answered 204. */
      written: this.#milliseconds.length,
      /** Of the written ones, from when they were due to their answer. */
      milliseconds: this.#milliseconds,
      /** Of the process that writes. */
      cpuSeconds: (user + system) / 1e6,
    };
  }

  // By the clock, not by the timer: where that comes late, what it missed is made up for.
  #writeWhatIsDue(): void {
    for (; this.#dueAt() <= performance.now(); this.#due++) this.#write(this.#dueAt());
    this.#timer = setTimeout(() => this.#writeWhatIsDue(), Math.max(0, this.#dueAt() - performance.now()));
  }

  #dueAt(): number {
    return this.#began + (this.#due * 1000) / this.#writes.rate;
  }

  #write(dueAt: number): void {
    if (this.#unanswered.size === mostUnanswered) return void this.#counts.missed++;
    const answered = this.#put(dueAt).catch((error: Error) => this.#fail(error.message));
    this.#unanswered.add(answered);
    void answered.then(() => this.#unanswered.delete(answered));
  }

  async #put(dueAt: number): Promise<void> {
    const { path, size, regionBytes, isStamped } = this.#writes;
    const step = isStamped ? size : pageSize;
    const first = randomInt(Math.floor((regionBytes - size) / step) + 1) * step;
    const bytes = isStamped ? stampedBytes(first, size, ++this.#stamp) : this.#body;
    const headers = { 'content-range': `bytes ${first}-${first + size - 1}/*`, prefer: `wait=${waitSeconds}` };
    const { statusCode, body } = await this.#pool.request({ method: 'PUT', path, headers, body: bytes });
    await body.dump();
    if (statusCode === 204) this.#milliseconds.push(performance.now() - dueAt);
    else if (statusCode === 409) this.#counts.busy++;
    else this.#fail(`status (${statusCode})`);
  }

  #fail(why: string): void {
    this.#counts.errors++;
    this.#counts.firstError ??= why;
  }
}
