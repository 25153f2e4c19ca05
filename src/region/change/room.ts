/** Room on a full file system: versions that were replaced give way to new content. @module */
import { Pending } from '../../relay/pending.ts';
import type { KeptVersions } from '../kept-versions.ts';
import { within } from '../within.ts';
import type { OldFiles } from './old-files.ts';
import { isFull } from './refusal.ts';

/** Milliseconds that readers of such versions are waited for. */
const longestWait = 1000;

type Kept = Pick<KeptVersions, 'count' | 'clear'>;
type Old = Pick<OldFiles, 'endOfKept'>;

/** Makes room, once for all who need it at the same time. */
export class Room {
  readonly #kept: Kept | undefined;
  readonly #old: Old;
  readonly #making = new Pending();
  /** How often versions have given way. */
  #made = 0;

  constructor(kept: Kept | undefined, old: Old) {
    this.#kept = kept;
    this.#old = old;
  }

  /** Does what takes room, and again where it found none and some was made since it began. */
  async take(act: () => Promise<void>): Promise<void> {
    const before = this.#made;
    try {
      await act();
    } catch (error) {
      if (!isFull(error)) throw error;
      await this.#make();
      if (this.#made === before) throw error;
      await act();
    }
  }

  async #make(): Promise<void> {
    if (this.#kept && this.#kept.count > 0) await this.#making.follow(this.#clear(this.#kept));
    else await this.#making.ended();
  }

  async #clear(kept: Kept): Promise<void> {
    const gone = this.#old.endOfKept();
    kept.clear();
    await within(gone, longestWait);
    this.#made++;
  }
}
