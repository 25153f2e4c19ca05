import { read } from 'node:fs';
import { promisify } from 'node:util';

const readDescriptor = promisify(read);

/** Reads that are under way: their descriptor's number must not be reused before they end. */
export class Reads {
  readonly #pending = new Set<Promise<unknown>>();

  /** Fills `buffer` from `offset` of a file; resolves to the bytes read, 0 at its end. */
  async read(fd: number, buffer: Uint8Array, offset: number): Promise<number> {
    const reading = readDescriptor(fd, buffer, 0, buffer.byteLength, offset);
    this.#pending.add(reading);
    try {
      return (await reading).bytesRead;
    } finally {
      this.#pending.delete(reading);
    }
  }

  /** Resolves when all that are under way now have ended, one way or the other. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#pending);
  }
}
