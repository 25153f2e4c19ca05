/** When the bytes of an overwrite are on their medium. @module */
import { fileKeyOf } from './file-identity.ts';
import type { Files, Overwritten } from './files.ts';
import type { Generation, Overwrite } from './relay.ts';

/** By the answer, each by a flush of its own, or all that come together by one; or whenever the kernel likes. */
export const durabilities = ['sync', 'group', 'none'] as const;
export type Durability = (typeof durabilities)[number];

/** Overwrites wait for their flush with their old bytes in memory, of which one may have so many, and all so many. */
const mostTogether = 128;
const mostBytesTogether = 64 << 20;

/** All of an overwrite but how durable it is to be. */
export type PlannedOverwrite = Omit<Overwrite, 'unsynced'>;

type Waiting = { readonly overwrite: Overwrite; readonly resolve: (ended: Overwritten) => void };

/** Overwrites bytes of files in place, and makes them as durable as was asked for. */
export class Overwriting {
  readonly #files: Files;
  readonly #durability: Durability;
  /** Who waits for the flush of a file that has begun without them, by the file. */
  readonly #waiting = new Map<string, Waiting[]>();

  constructor(files: Files, durability: Durability) {
    this.#files = files;
    this.#durability = durability;
  }

  /** Whether bytes that are overwritten may still have to reach their medium. */
  get isUnsynced(): boolean {
    return this.#durability === 'none';
  }

  /** Only under a lease. Does not reject: an overwrite that the shim does not take has not begun. */
  run(generation: Generation, plan: PlannedOverwrite): Promise<Overwritten> {
    const { promise, resolve } = Promise.withResolvers<Overwritten>();
    const one = { overwrite: { ...plan, unsynced: this.isUnsynced }, resolve };
    if (this.#durability === 'group') this.#join(fileKeyOf(generation), one);
    else void this.#write([one]);
    return promise;
  }

  #join(file: string, one: Waiting): void {
    const waiting = this.#waiting.get(file);
    if (waiting) waiting.push(one);
    else {
      this.#waiting.set(file, [one]);
      void this.#writeAll(file);
    }
  }

  async #writeAll(file: string): Promise<void> {
    for (;;) {
      const waiting = this.#waiting.get(file) ?? [];
      if (waiting.length === 0) break;
      await this.#write(takeSome(waiting));
    }
    this.#waiting.delete(file);
  }

  async #write(some: readonly Waiting[]): Promise<void> {
    const ended = await this.#files.overwrite(some.map(({ overwrite }) => overwrite)).catch((error) => error as Error);
    // None has begun, for the shim refuses one of them.
    if (ended instanceof Error && some.length > 1) for (const one of some) await this.#write([one]);
    else if (ended instanceof Error) some[0]?.resolve({ error: ended, undone: true });
    else for (const [at, end] of ended.entries()) some[at]?.resolve(end);
  }
}

// At least one; then as many as their bytes leave room for.
function takeSome(waiting: Waiting[]): Waiting[] {
  let bytes = 0;
  const tooMany = waiting.findIndex(({ overwrite }, at) => {
    bytes += overwrite.length;
    return at === mostTogether || (at > 0 && bytes > mostBytesTogether);
  });
  return waiting.splice(0, tooMany < 0 ? waiting.length : tooMany);
}
