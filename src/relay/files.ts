/** Work on files that may take long, done on the thread pool through the shim's system-call table. @module */
import { closeSync, openSync } from 'node:fs';
import { type Overwrite, SystemError } from './relay.ts';
import { errnoName, type Shim } from './shim.ts';

/** How an overwrite ended: well, or so that its old bytes are there again, or so that nobody knows what is. */
export type Overwritten =
  | { readonly error: undefined }
  | { readonly error: NodeJS.ErrnoException /** Else its note is for the next start. */; readonly undone: boolean };

/** Descriptors belong to the caller. Every call but one rejects with a SystemError. */
export class Files {
  readonly #shim: Shim;

  constructor(shim: Shim) {
    this.#shim = shim;
  }

  /** Writes all of the bytes. */
  async write(fd: number, bytes: Uint8Array, offset: number): Promise<void> {
    check(await this.#shim.onFile('write', fd, offset, bytes), 'write');
  }

  /** What was written to a file is on its medium. */
  async sync(fd: number): Promise<void> {
    check(await this.#shim.onFile('sync', fd), 'sync');
  }

  /** What was made, renamed or removed in a folder is on its medium. */
  async syncFolder(path: string): Promise<void> {
    const fd = openSync(path, 'r');
    try {
      await this.sync(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Copies bytes of one file into another. */
  async copy(from: number, fromOffset: number, to: number, toOffset: number, length: number): Promise<void> {
    check(await this.#shim.onFile('copy', from, fromOffset, to, toOffset, length), 'copy');
  }

  /**
   * Whether each page of a range is known to be a folio of its own, so that a hole takes it out of the file whoever still
   * refers to it. True for as long as pages of it are in flight: ask under a lease. Moves the descriptor's position.
   */
  async hasSmallFolios(fd: number, offset: number, length: number): Promise<boolean> {
    return (await this.#shim.onFile('hasSmallFolios', fd, offset, length)) === 1;
  }

  /**
   * Whether direct writes of the whole pages that cover a range are known to leave pages in flight as they are. Ask under
   * a lease; nobody may store to the file through a mapping.
   */
  async fitsDirect(fd: number, offset: number, length: number): Promise<boolean> {
    return (await this.#shim.onFile('fitsDirect', fd, offset, length)) === 1;
  }

  /**
   * Overwrites pages of one file in place, and makes all of them durable by one flush; only under leases. Gives how each
   * ended. Rejects when the shim does not take it, so that none has begun.
   */
  async overwrite(overwrites: readonly Overwrite[]): Promise<Overwritten[]> {
    const ended = await this.#shim.fileOverwrite(overwrites);
    // A number: none has begun.
    const all = typeof ended === 'number' ? overwrites.map(() => ({ errno: ended, undone: true })) : ended;
    return all.map(({ errno, undone }) =>
      errno < 0 ? { error: systemError(errno, 'overwrite'), undone } : { error: undefined },
    );
  }

  /** Makes a file shorter; only when nothing that the kernel would wait for is in flight. */
  async cut(fd: number, size: number): Promise<void> {
    check(await this.#shim.onFile('cut', fd, size), 'cut');
  }

  /** Makes a file longer, by zeros. */
  async extend(fd: number, size: number): Promise<void> {
    check(await this.#shim.onFile('extend', fd, size), 'extend');
  }
}

function check(result: number, what: string): void {
  if (result < 0) throw systemError(result, what);
}

function systemError(result: number, what: string): SystemError {
  return new SystemError(errnoName(result), what);
}
