import { randomBytes } from 'node:crypto';
import { closeSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Refusal, refusalOf } from './refusal.ts';
import type { Store } from './store.ts';

/** How a body is received. */
export type Receiving = {
  /** Bytes: those of the range that they are for. */
  readonly limit: number;
  /** Is told of every chunk. */
  readonly onChunk: (chunk: Uint8Array) => void;
};

/** A body that has been received into a file of its own, which no one else knows. */
export class Upload {
  readonly path: string;
  readonly fd: number;
  #length = 0;
  readonly #store: Store;

  private constructor(store: Store) {
    this.#store = store;
    this.path = join(store.paths.uploads, randomBytes(12).toString('hex'));
    this.fd = openSync(this.path, 'wx+', 0o644);
  }

  /** Bytes. */
  get length(): number {
    return this.#length;
  }

  /**
   * Receives a body, chunk by chunk. Where it ends before its end, nothing is left of it.
   *
   * @throws Refusal `bad-range`, `no-space`; what the body throws
   */
  static async receive(store: Store, body: AsyncIterable<Uint8Array>, receiving: Receiving): Promise<Upload> {
    const upload = new Upload(store);
    try {
      for await (const chunk of body) await upload.#append(chunk, receiving);
      return upload;
    } catch (error) {
      upload.discard();
      throw refusalOf(error);
    }
  }

  async #append(chunk: Uint8Array, { limit, onChunk }: Receiving): Promise<void> {
    if (this.#length + chunk.length > limit) throw new Refusal('bad-range', `The body has more than ${limit} bytes.`);
    this.#store.quota.take(chunk.length);
    const at = this.#length;
    this.#length += chunk.length;
    onChunk(chunk);
    await this.#store.relay.files.write(this.fd, chunk, at);
  }

  /** Its file is a region's from now on, and counts as that. */
  close(): void {
    closeSync(this.fd);
  }

  /** Gives up what was received. */
  discard(): void {
    this.#store.quota.give(this.#length);
    closeSync(this.fd);
    try {
      unlinkSync(this.path);
    } catch {
      // Removed by somebody else: it is gone, which is all that is wanted.
    }
  }
}
