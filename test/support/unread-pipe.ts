/** Pipes between a child process and a test that reads them when it likes, or never. @module */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from './regions.ts';
import type { Scope } from './scope.ts';

/** One pipe. */
export class UnreadPipe {
  /** For a child process to write to. */
  readonly end: number;
  readonly #start: number;
  #text = '';
  #open = true;

  constructor(scope: Scope) {
    const path = join(makeFolder(scope, 'tmpfs'), 'pipe');
    execFileSync('mkfifo', [path]);
    this.#start = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.end = openSync(path, constants.O_WRONLY);
    scope.after(() => {
      closeSync(this.end);
      this.close();
    });
  }

  /** Everything that has come so far. */
  read(): string {
    const chunk = Buffer.alloc(1 << 16);
    for (;;) {
      try {
        const bytes = readSync(this.#start, chunk);
        if (bytes === 0) return this.#text;
        this.#text += chunk.toString('latin1', 0, bytes);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return this.#text;
        throw error;
      }
    }
  }

  /** Nobody will ever read it: writing is EPIPE from now on. */
  close(): void {
    if (this.#open) closeSync(this.#start);
    this.#open = false;
  }

  /** Whether whoever writes to it has set O_NONBLOCK, which all who do share. */
  isNonBlocking(): boolean {
    const [, flags = ''] = /^flags:\t([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${this.end}`, 'utf8')) ?? [];
    return (Number.parseInt(flags, 8) & constants.O_NONBLOCK) !== 0;
  }
}
