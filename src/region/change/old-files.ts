import { link, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { NativeRelay } from '../../relay/native-relay.ts';
import type { Generation } from '../../relay/relay.ts';
import type { StatePaths } from '../state-folder.ts';
import { temporaryName } from './temporary-name.ts';

/**
 * Keeps a link to each file that has lost its name until nobody sends its pages any more: on fsdax the last close of a
 * file without a name gives the peer another file's bytes, or hangs the process (reference: docs/done.md).
 */
export class OldFiles {
  readonly #relay: NativeRelay;
  readonly #folder: string;
  readonly #pending = new Set<Promise<void>>();

  constructor(relay: NativeRelay, paths: StatePaths) {
    this.#relay = relay;
    this.#folder = paths.old;
  }

  /** How many are kept now. */
  get count(): number {
    return this.#pending.size;
  }

  /** Gives a file that is about to lose its name another one, which it returns. */
  async keep(path: string): Promise<string> {
    const kept = join(this.#folder, temporaryName());
    await link(path, kept);
    return kept;
  }

  /** Removes a kept link when no reference to any page of the generation's file is left. */
  letGo(generation: Generation, kept: string): void {
    const going = this.#letGo(generation, kept).finally(() => this.#pending.delete(going));
    this.#pending.add(going);
  }

  async #letGo(generation: Generation, kept: string): Promise<void> {
    await this.#relay.retireGeneration(generation);
    // A relay that was closed has told so as well: what it still had in flight is for the next start to remove.
    if (this.#relay.isClosed) return;
    if (generation.backing === 'fsdax') this.#relay.nudge();
    await unlink(kept).catch(() => {});
  }

  /** Resolves when none is kept, or those that are can't go before the relay does. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#pending);
  }
}
