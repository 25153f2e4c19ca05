/** Bodies that have been received. @module */
import { closeSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { Refusal, refusalOf } from './refusal.ts';
import type { Store } from './store.ts';
import { temporaryName } from './temporary-name.ts';

/** What is received of a body, chunk by chunk. Whoever has one uses it up or discards it. */
export type Upload = {
  /** Bytes. */
  readonly length: number;
  /** Where they are: in memory, or in a file by its descriptor. */
  readonly source: Uint8Array | number;
  /** @throws Refusal `bad-range`, `no-space` */
  append(chunk: Uint8Array): Promise<void> | void;
  /** Gives up what was received. */
  discard(): void;
};

/** Largest part that is kept in memory, bytes (docs/performance.md). */
const mostInMemory = 256 * 1024;

const mostBuffers = 8;

/** An upload for a range of so many bytes that a region has already. */
export function uploadOfPart(store: Store, length: number): Upload {
  return length <= mostInMemory ? new MemoryUpload(length) : new FileUpload(store, length);
}

/**
 * Receives a body. Nothing is left of one that ends early. @param onChunk is told of every chunk
 *
 * @throws Refusal `bad-range`, `no-space`; what the body throws
 */
export async function receive<Into extends Upload>(
  into: Into,
  body: Readable,
  onChunk: (chunk: Uint8Array) => void,
): Promise<Into> {
  try {
    await takeAll(body, (chunk) => {
      onChunk(chunk);
      return into.append(chunk);
    });
    return into;
  } catch (error) {
    into.discard();
    throw refusalOf(error);
  }
}

/**
 * Takes what a body has, one chunk after the other. Nothing is being taken any more when it settles. An iterator would
 * cost as much as writing a small body to memory.
 */
async function takeAll(body: Readable, take: (chunk: Uint8Array) => Promise<void> | void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let taking: Promise<void> | undefined;
  const onData = (chunk: Uint8Array) => {
    try {
      taking = take(chunk) || undefined;
      if (!taking) return;
      body.pause();
      taking.then(() => body.resume(), reject);
    } catch (error) {
      reject(error);
    }
  };
  const onClose = () => reject(body.errored ?? new EndedEarly('the body has no end'));
  // A body that is paused says so all the same, while its last chunk is being taken.
  const onEnd = () => {
    body.removeListener('close', onClose);
    if (taking) taking.then(resolve, reject);
    else resolve();
  };
  if (body.destroyed) onClose();
  body.on('data', onData).once('end', onEnd).once('error', reject).once('close', onClose);
  try {
    await promise;
  } finally {
    body.removeListener('data', onData).removeListener('end', onEnd).removeListener('error', reject);
    body.removeListener('close', onClose);
    // A body can be cut off while a thread still writes a chunk of it to a descriptor, which must stay open for so long.
    if (taking) await taking.catch(() => {});
  }
}

class EndedEarly extends Error {
  readonly code = 'ERR_STREAM_PREMATURE_CLOSE';
}

function checkRoom(bytes: number, most: number): void {
  if (bytes > most) throw new Refusal('bad-range', `The body has more than ${most} bytes.`);
}

/** Memory for a few bodies at a time, used again and again to spare the garbage collector. */
const freeBuffers: Buffer[] = [];
let buffersMade = 0;

function takeBuffer(bytes: number): Buffer {
  return freeBuffers.pop() ?? Buffer.allocUnsafeSlow(buffersMade++ < mostBuffers ? mostInMemory : bytes);
}

function giveBuffer(buffer: Buffer): void {
  if (buffer.length === mostInMemory && freeBuffers.length < mostBuffers) freeBuffers.push(buffer);
}

class MemoryUpload implements Upload {
  #length = 0;
  #buffer: Buffer | undefined;
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  get length(): number {
    return this.#length;
  }

  get source(): Uint8Array {
    return this.#buffer?.subarray(0, this.#length) ?? new Uint8Array();
  }

  // Chunks are parts of larger buffers, which would be kept with them.
  append(chunk: Uint8Array): void {
    checkRoom(this.#length + chunk.length, this.#most);
    this.#buffer ??= takeBuffer(this.#most);
    this.#buffer.set(chunk, this.#length);
    this.#length += chunk.length;
  }

  discard(): void {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    if (buffer) giveBuffer(buffer);
  }
}

/** A body in a file of its own, which no one else knows. */
export class FileUpload implements Upload {
  readonly path: string;
  readonly source: number;
  #length = 0;
  #counted = 0;
  readonly #store: Store;
  readonly #most: number | undefined;

  /** @param most bytes, of a range that has them already; undefined: all that come, and they count */
  constructor(store: Store, most?: number) {
    this.#store = store;
    this.#most = most;
    this.path = join(store.tree.paths.uploads, temporaryName());
    this.source = openSync(this.path, 'wx+', 0o644);
  }

  get length(): number {
    return this.#length;
  }

  async append(chunk: Uint8Array): Promise<void> {
    if (this.#most === undefined) this.#count(chunk.length);
    else checkRoom(this.#length + chunk.length, this.#most);
    const at = this.#length;
    this.#length += chunk.length;
    await this.#store.room.take(() => this.#store.relay.files.write(this.source, chunk, at));
  }

  #count(bytes: number): void {
    this.#store.quota.take(bytes);
    this.#counted += bytes;
  }

  /** Its file is a region's from now on, and counts as that. */
  close(): void {
    this.#store.quota.give(this.#counted);
    closeSync(this.source);
  }

  discard(): void {
    this.close();
    try {
      unlinkSync(this.path);
    } catch {
      // Removed by somebody else: it is gone, which is all that is wanted.
    }
  }
}
