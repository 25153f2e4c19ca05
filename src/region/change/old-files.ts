import { lstatSync, unlinkSync } from 'node:fs';
import { link, lstat, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileKeyOf } from '../../relay/file-identity.ts';
import type { NativeRelay } from '../../relay/native-relay.ts';
import { Pending } from '../../relay/pending.ts';
import type { Generation } from '../../relay/relay.ts';
import type { OwnMoves } from '../own-moves.ts';
import type { StatePaths } from '../state-folder.ts';
import type { Predecessor } from './predecessor.ts';
import { temporaryName } from './temporary-name.ts';

const nudgeMilliseconds = 20;

/**
 * A file that has lost its name, with an opening of its own to wait for its readers by: the region's may be closed. A
 * symbolic link has none, for its file keeps its name.
 */
export type Kept = { readonly path: string; readonly generation: Generation | undefined };

/**
 * Removes the last name of a file on fsdax, for instance: the kernel waits for buffers that were read and are parked
 * with a CPU. It nudges until that is over, for they can be parked at any time.
 */
export async function whileNudging(relay: NativeRelay, act: () => Promise<unknown>): Promise<void> {
  relay.nudge();
  const nudging = setInterval(() => relay.nudge(), nudgeMilliseconds);
  try {
    await act();
  } finally {
    clearInterval(nudging);
  }
}

/**
 * Keeps a link to each file that has lost its name until nobody sends its pages. On fsdax the last close of a nameless
 * file gives its peer another file's bytes, or hangs the process (docs/done.md).
 */
export class OldFiles {
  readonly #relay: NativeRelay;
  readonly #folder: string;
  readonly #moves: OwnMoves;
  readonly #predecessor: Predecessor;
  readonly #pending = new Pending();
  /** Removals of files that are kept for something else than their readers. */
  readonly #kept = new Set<Promise<void>>();

  constructor(relay: NativeRelay, paths: StatePaths, moves: OwnMoves, predecessor: Predecessor) {
    this.#relay = relay;
    this.#predecessor = predecessor;
    this.#moves = moves;
    this.#folder = paths.old;
  }

  /** How many are kept now. */
  get count(): number {
    return this.#pending.size;
  }

  /** Gives a file that is about to lose its name another one. @throws SystemError, or what link fails with */
  async keep(path: string): Promise<Kept> {
    const kept = join(this.#folder, temporaryName());
    await link(path, kept);
    try {
      const isLink = (await lstat(kept)).isSymbolicLink();
      return { path: kept, generation: isLink ? undefined : this.#relay.openGeneration(undefined, kept) };
    } catch (error) {
      await unlink(kept);
      throw error;
    }
  }

  /** It has kept its name after all. */
  async drop(kept: Kept): Promise<void> {
    this.#close(kept);
    await unlink(kept.path);
  }

  /** It gets its name back. */
  async restore(kept: Kept, path: string): Promise<void> {
    this.#close(kept);
    await rename(kept.path, path);
  }

  #close({ generation }: Kept): void {
    if (generation) this.#relay.closeGeneration(generation);
  }

  /** Removes a kept link when no reference to any page of its file is left. @param until what else it is kept for */
  letGo(kept: Kept, until?: Promise<void>): void {
    const gone = this.#pending.follow(this.#letGo(kept, until));
    if (!until) return;
    this.#kept.add(gone);
    void until.then(() => this.#kept.delete(gone));
  }

  async #letGo(kept: Kept, until: Promise<void> | undefined): Promise<void> {
    if (until) await until;
    if (await this.#removeUnlessLast(kept)) return;
    const { path, generation } = kept;
    if (generation) await this.#predecessor.gone(fileKeyOf(generation));
    if (generation) await this.#relay.retireGeneration(generation);
    // A relay that was closed has told so as well: what it still had in flight is for the next start to remove.
    if (this.#relay.isClosed) return;
    const remove = () => this.#moves.unlinking(path, () => unlink(path)).catch(() => {});
    await (generation?.backing === 'fsdax' ? whileNudging(this.#relay, remove) : remove());
  }

  // Removes the link of a file with other names at once: readers of those could keep it for long. It looks and removes
  // without a pause, so that of two such links one stays.
  async #removeUnlessLast(kept: Kept): Promise<boolean> {
    try {
      if (lstatSync(kept.path).nlink === 1) return false;
      await this.#moves.unlinking(kept.path, async () => unlinkSync(kept.path));
    } catch {
      return false;
    }
    this.#close(kept);
    return true;
  }

  /** Resolves when the files are gone that are kept for something else than their readers now. */
  async endOfKept(): Promise<void> {
    await Promise.allSettled(this.#kept);
  }

  /** Resolves when none is kept, or those that are can't go before the relay does. */
  async settled(): Promise<void> {
    await this.#pending.ended();
  }
}
