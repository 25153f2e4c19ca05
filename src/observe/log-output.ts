import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import type { ShimLog } from '../relay/shim.ts';
import { type Descriptor, openDescriptor, openLogFile } from './descriptor.ts';

/** Bytes of lines that wait to be written; what comes beyond them is lost. */
const mostBytes = 1 << 20;

const pollMilliseconds = 5;

const newline = '\n'.charCodeAt(0);

/**
 * Lines on their way to a descriptor that may take none. Nothing waits for it or fails by it, and its memory is
 * bounded: lines that can't be written are lost and counted. Each line is another try.
 */
export class LogOutput {
  readonly #descriptor: Descriptor;
  readonly #waiting: Uint8Array[] = [];
  #bytes = 0;
  #lost = 0;
  #reported = 0;
  #busy = false;
  #torn = false;
  #files = 0;
  /** Is told of lines that were lost, when lines can be written again: how many since the last time. */
  onRecovery: ((lines: number) => void) | undefined;

  constructor(descriptor: Descriptor) {
    this.#descriptor = descriptor;
  }

  /** Lines for a descriptor of this process, such as 1. It stays open. */
  static to(fd: number): LogOutput {
    return new LogOutput(openDescriptor(fd));
  }

  /** Lines for a file, which is made where there is none. @throws Error with a `code` */
  static toFile(path: string): LogOutput {
    return new LogOutput(openDescriptor(openLogFile(path)));
  }

  /** Goes on in the file that is at a path by now. @throws Error with a `code`, and it goes on as before */
  reopen(path: string): void {
    this.#descriptor.reopen(openLogFile(path));
    this.#files++;
    this.#torn = false;
  }

  /** Lines that were lost so far, those of lanes among them. */
  get lost(): number {
    return this.#lost + (this.#descriptor.native?.state().lost ?? 0);
  }

  /** Whether every line has been written, or is lost. */
  get isIdle(): boolean {
    return !this.#busy && (this.#descriptor.native?.state().isIdle ?? true);
  }

  /** For lanes, which add lines of their own; undefined without the shim. */
  get native(): ShimLog | undefined {
    return this.#descriptor.native?.log;
  }

  /** Whether a write that may never return keeps `process.exit` from ending the process. */
  get holdsExit(): boolean {
    return this.#busy && this.#descriptor.holdsExit;
  }

  /** Takes lines, whole ones. */
  write(text: string | Uint8Array): void {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    if (this.#bytes + bytes.length > mostBytes) {
      this.#lost += linesIn(bytes);
      return;
    }
    this.#bytes += bytes.length;
    this.#waiting.push(bytes);
    if (!this.#busy) void this.#run();
  }

  /** Resolves when it is idle, or so many milliseconds have passed. */
  async flush(milliseconds: number): Promise<void> {
    const deadline = performance.now() + milliseconds;
    while (!this.isIdle && performance.now() < deadline) await delay(pollMilliseconds); // Lanes tell nobody.
  }

  async #run(): Promise<void> {
    this.#busy = true;
    await setImmediate(); // What is logged in one turn of the event loop is one piece.
    while (this.#waiting.length > 0) await this.#writePiece();
    this.#busy = false;
  }

  async #writePiece(): Promise<void> {
    const lines = Buffer.concat(this.#waiting.splice(0));
    // Where a full file system has taken the beginning of a line, a new line begins first. The shim does that by
    // itself.
    const start = this.#torn && !this.#descriptor.native ? 1 : 0;
    const piece = start > 0 ? Buffer.concat([Buffer.of(newline), lines]) : lines;
    const files = this.#files;
    const { bytes, error } = await this.#descriptor.write(piece);
    this.#bytes -= lines.length;
    if (bytes > 0 && files === this.#files) this.#torn = error !== undefined && piece[bytes - 1] !== newline;
    if (error === undefined) this.#report();
    else this.#lost += linesIn(piece.subarray(Math.max(bytes, start)));
  }

  #report(): void {
    const { lost } = this;
    const lines = lost - this.#reported;
    this.#reported = lost;
    if (lines > 0) this.onRecovery?.(lines);
  }
}

function linesIn(bytes: Uint8Array): number {
  let lines = 0;
  for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) lines++;
  return lines;
}
