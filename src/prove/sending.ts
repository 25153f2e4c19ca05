/** Has a process of its own send, and throws away what comes. @module */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { EngineChoice } from '../relay/engine.ts';
import type { Engine } from '../relay/relay.ts';
import { errnoName, type Shim } from '../relay/shim.ts';
import type { Verdict } from '../relay/witness.ts';
import type { Measured } from './result.ts';

/** What a sender is asked. */
export type ToSender =
  | { readonly ask: 'open'; readonly path: string; readonly engine: EngineChoice }
  | { readonly ask: 'usage' | 'close' };

/** A region as `GET /regions` shows it. */
export type ListedRegion = {
  readonly size: number;
  readonly engine: Engine;
  readonly engineBecause: string;
  readonly copyFree: Verdict;
};

/** What a sender has used since it began. */
export type Usage = {
  readonly cpuSeconds: number;
  readonly tableCalls: number;
  readonly readsAndWrites: number | null;
  readonly sentBytes: Readonly<Record<Engine, number>>;
  readonly copiedBytes: Readonly<Record<Engine, number>>;
};

const mebibyte = 2 ** 20;
/**
 * Each has its part of the region: one reader that asks for the same bytes again and again would be sent copies out of
 * the processor's cache. As many as libuv has threads.
 */
const readers = 4;
/** The first answer warms up and tells how long others may be. */
const trialBytes = 8 * mebibyte;
const secondsOfOne = 0.1;
const measuredSeconds = 0.4;
const mostBytes = 1024 * mebibyte;

// In development the sources run as they are; in the package they are JavaScript.
const program = fileURLToPath(new URL(`./sender${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));

/** The service in a process of its own, with one region at a time. */
export class Sender {
  readonly #shim: Shim;
  readonly #child: ChildProcess;
  #port = 0;
  #size = 0;

  constructor(shim: Shim) {
    this.#shim = shim;
    this.#child = fork(program, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  }

  /** Serves a file or device by an engine; gives what the service says of it. */
  async open(path: string, engine: EngineChoice): Promise<ListedRegion> {
    const { port, region } = await this.#ask<{ port: number; region: ListedRegion }>({ ask: 'open', path, engine });
    this.#port = port;
    this.#size = region.size;
    return region;
  }

  /** Has what is open sent for a moment. @throws Error when another engine than this one carries it */
  async measure(engine: Engine): Promise<Measured> {
    const trial = Math.min(trialBytes, this.#size);
    const { seconds } = await this.#discard(0, trial, 1);
    const body = Math.floor(Math.min(this.#size / readers, Math.max(mebibyte, (trial / seconds) * secondsOfOne)));
    const before = await this.#usage();
    const sent = await this.#discardParts(body, Math.ceil(mostBytes / readers / body));
    return measured(engine, sent, before, await this.#usage());
  }

  async close(): Promise<void> {
    await this.#ask({ ask: 'close' });
  }

  /** Ends the process. */
  end(): void {
    this.#child.kill();
  }

  #usage(): Promise<Usage> {
    return this.#ask<Usage>({ ask: 'usage' });
  }

  async #discardParts(body: number, most: number): Promise<{ bytes: number; seconds: number }> {
    const from = performance.now();
    const parts = Array.from({ length: readers }, (_, part) => this.#discard(part * body, body, most));
    const bytes = (await Promise.all(parts)).reduce((sum, part) => sum + part.bytes, 0);
    return { bytes, seconds: (performance.now() - from) / 1000 };
  }

  async #discard(first: number, body: number, most: number) {
    const lines = [
      'GET /regions/region HTTP/1.1',
      `Host: 127.0.0.1:${this.#port}`,
      `Range: bytes=${first}-${first + body - 1}`,
    ];
    const request = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    const discarded = await this.#shim.discard(this.#port, request, body, most, measuredSeconds);
    if (typeof discarded === 'number') throw new Error(`the reader failed: ${errnoName(discarded)}`);
    const [status = ''] = discarded.head.split('\r\n', 1);
    if (!status.startsWith('HTTP/1.1 206 ')) throw new Error(`the service answered ${status}`);
    return discarded;
  }

  async #ask<Reply>(message: ToSender): Promise<Reply> {
    this.#child.send(message);
    const gone = new AbortController();
    const exited = once(this.#child, 'exit', { signal: gone.signal }).then(() => {
      throw new Error('the sending process ended');
    });
    try {
      const [answer] = (await Promise.race([once(this.#child, 'message'), exited])) as [Reply & object];
      if ('failed' in answer) throw new Error(String(answer.failed));
      return (answer as unknown as { reply: Reply }).reply;
    } finally {
      exited.catch(() => {});
      gone.abort();
    }
  }
}

function measured(engine: Engine, sent: { bytes: number; seconds: number }, before: Usage, after: Usage): Measured {
  const carried = after.sentBytes[engine] - before.sentBytes[engine];
  if (carried < sent.bytes) throw new Error(`${engine} has carried ${carried} of ${sent.bytes} bytes`);
  const calls = callsOf(engine, after, before);
  return {
    bytes: sent.bytes,
    copiedBytes: after.copiedBytes[engine] - before.copiedBytes[engine],
    cpuSecondsPerGB: (after.cpuSeconds - before.cpuSeconds) / (sent.bytes / 1e9),
    gigabytesPerSecond: sent.bytes / 1e9 / sent.seconds,
    systemCallsPerMB: calls === null ? null : calls / (sent.bytes / 1e6),
  };
}

function callsOf(engine: Engine, after: Usage, before: Usage): number | null {
  if (engine !== 'stream') return after.tableCalls - before.tableCalls;
  if (after.readsAndWrites === null || before.readsAndWrites === null) return null;
  return after.readsAndWrites - before.readsAndWrites;
}
