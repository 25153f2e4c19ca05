import { read } from 'node:fs';
import { promisify } from 'node:util';
import { Pending } from './pending.ts';

const readDescriptor = promisify(read);

/** Reads that are under way: their descriptor's number must not be reused before they end. */
export class Reads extends Pending {
  /** Fills `buffer` from `offset` of a file; resolves to the bytes read, 0 at its end. */
  async read(fd: number, buffer: Uint8Array, offset: number): Promise<number> {
    return (await this.follow(readDescriptor(fd, buffer, 0, buffer.byteLength, offset))).bytesRead;
  }
}
