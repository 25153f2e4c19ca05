import assert from 'node:assert/strict';
import type { FileIdentity } from '../relay/relay.ts';
import { type Description, traitsOf } from './sidecar.ts';

/** What a region changed in place in this run is now; its version is on disk only after `RegionStates.close`. */
export type Own = { description: Description & { readonly version: number }; changes: number };

/**
 * What is known of a region's file while it changes: call `move` and `resize` as often as needed, then `end` once.
 * Where the file has lost its name, or others have changed it, nothing is known, and no call has an effect.
 */
export class FileChange {
  readonly #own: () => Own | undefined;
  readonly #write: (description: Description) => Promise<void>;
  #hasEnded = false;

  /** @param own what this run knows of the file now */
  constructor(own: () => Own | undefined, write: (description: Description) => Promise<void>) {
    this.#own = own;
    this.#write = write;
    const known = own();
    if (known) known.changes++;
  }

  /** Bytes are about to change, or may have. */
  move(version: number): void {
    const own = this.#known();
    if (own) own.description = { ...own.description, version };
  }

  /** Makes a logical size durable; readers have it from `end` on. Gives false where nothing is known. */
  async resize(size: number, cut: boolean): Promise<boolean> {
    const own = this.#known();
    if (!own) return false;
    const description = { ...own.description, size, cut };
    try {
      await this.#write(description);
    } catch (error) {
      // It may be in place and only not be durable: who is told that it failed must not find it after a crash.
      await this.#write(own.description).catch(() => {});
      throw error;
    }
    if (size === own.description.size) own.description = description;
    return true;
  }

  /** Ends the change. Gives the version that all changes have led to. @param size the region's, where it has changed */
  end(file: FileIdentity, size?: number): number | undefined {
    const own = this.#known();
    this.#hasEnded = true;
    if (!own) return undefined;
    own.changes--;
    const { description } = own;
    const cut = size === undefined ? description.cut : file.size > size;
    const served = cut ? (size ?? description.size) : file.size;
    own.description = { ...description, ...traitsOf(file), cut, size: served };
    return own.description.version;
  }

  #known(): Own | undefined {
    assert(!this.#hasEnded, 'the change has ended');
    return this.#own();
  }
}
