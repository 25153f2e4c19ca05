/** Has a process of its own send, and reads what comes. @module */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { EngineChoice } from '../relay/engine.ts';
import type { Engine } from '../relay/relay.ts';
import type { Verdict } from '../relay/witness.ts';
import { readAnswers, type WasRead } from './reader.ts';
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
  readonly sends: Readonly<Record<Engine, number>>;
  readonly sentBytes: Readonly<Record<Engine, number>>;
  readonly copiedBytes: Readonly<Record<Engine, number>>;
};

const mebibyte = 2 ** 20;
/**
 * Each reads its own part of the region: bytes that are asked for again would be copied out of the processor's cache.
 */
const readers = 4;
/** The first answer warms up and tells how long others may be. */
const trialBytes = 8 * mebibyte;
const secondsOfOne = 0.1;
const mostBytes = 1024 * mebibyte;

// In development the sources run as they are; in the package they are JavaScript.
const program = fileURLToPath(new URL(`./sender${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));

/** The service in a process of its own, with one region at a time. */
export class Sender {
  readonly #child: ChildProcess;
  readonly #seconds: number;
  #port = 0;
  #size = 0;

  /** @param seconds how long a measurement takes */
  constructor(seconds: number) {
    this.#seconds = seconds;
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
    const { seconds } = await this.#read(0, trial, 1);
    const body = Math.floor(Math.min(this.#size / readers, Math.max(mebibyte, (trial / seconds) * secondsOfOne)));
    const before = await this.#usage();
    const sent = await this.#readParts(body, Math.ceil(mostBytes / readers / body));
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

  async #readParts(body: number, most: number): Promise<WasRead> {
    const from = performance.now();
    const parts = Array.from({ length: readers }, (_, part) => this.#read(part * body, body, most));
    const bytes = (await Promise.all(parts)).reduce((sum, part) => sum + part.bytes, 0);
    return { bytes, seconds: (performance.now() - from) / 1000 };
  }

  #read(first: number, body: number, most: number): Promise<WasRead> {
    const lines = [
      'GET /regions/region HTTP/1.1',
      `Host: 127.0.0.1:${this.#port}`,
      `Range: bytes=${first}-${first + body - 1}`,
    ];
    const request = `${lines.join('\r\n')}\r\n\r\n`;
    return readAnswers({ port: this.#port, request, body, most, seconds: this.#seconds });
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

function measured(engine: Engine, sent: WasRead, before: Usage, after: Usage): Measured {
  const carried = after.sentBytes[engine] - before.sentBytes[engine];
  if (carried < sent.bytes) throw new Error(`${engine} has carried ${carried} of ${sent.bytes} bytes`);
  return {
    bytes: sent.bytes,
    copiedBytes: after.copiedBytes[engine] - before.copiedBytes[engine],
    cpuSecondsPerGB: (after.cpuSeconds - before.cpuSeconds) / (sent.bytes / 1e9),
    gigabytesPerSecond: sent.bytes / 1e9 / sent.seconds,
    sendsPerMB: (after.sends[engine] - before.sends[engine]) / (sent.bytes / 1e6),
  };
}
