import { read } from 'node:fs';
import { promisify } from 'node:util';

const readDescriptor = promisify(read);

/** Reads that are under way: their descriptor's number must not be reused before they end. */
export class Reads {
  readonly #pending = new Set<Promise<unknown>>();

  /** Fills `buffer` from `offset` of a file; resolves to the bytes read, 0 at its end. */
  async read(fd: number, buffer: Uint8Array, offset: number): Promise<number> {
    return (await this.follow(readDescriptor(fd, buffer, 0, buffer.byteLength, offset))).bytesRead;
  }

  /** Counts as one of them until it ends; resolves as it does. */
  async follow<Result>(reading: Promise<Result>): Promise<Result> {
    this.#pending.add(reading);
    try {
      return await reading;
    } finally {
      this.#pending.delete(reading);
    }
  }

  /** Resolves when all that are under way now have ended, one way or the other. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#pending);
  }
}
