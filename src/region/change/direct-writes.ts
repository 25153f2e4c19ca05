/** Direct writes to files, and leases on them. @module */
import type { Region } from '../region.ts';

/** What the file of a region is told by here. */
export function inodeOf({ content }: Region): number {
  return content.generation.inode;
}

/**
 * Keeps direct writes to a file apart from processes that have leases on any page of it, and store to it through mappings
 * of their own: the kernel writes to cached pages, which may be in flight, where somebody stores to one that it would
 * drop.
 */
export class DirectWrites {
  readonly #leases = new Map<number, number>();
  readonly #underway = new Map<number, Set<Promise<unknown>>>();

  /** Whether a file may be written directly, for no process has a lease on it. */
  isAllowed(inode: number): boolean {
    return !this.#leases.has(inode);
  }

  /** Does nothing, and gives undefined, where it is not allowed. */
  async write<Result>(inode: number, act: () => Promise<Result>): Promise<Result | undefined> {
    if (!this.isAllowed(inode)) return undefined;
    const writes = this.#underway.get(inode) ?? new Set();
    const writing = act();
    this.#underway.set(inode, writes.add(writing));
    try {
      return await writing;
    } finally {
      writes.delete(writing);
      if (writes.size === 0) this.#underway.delete(inode);
    }
  }

  /** Allows no more of them until `readmit`, and resolves when none is under way. */
  async exclude(inode: number): Promise<void> {
    this.#leases.set(inode, (this.#leases.get(inode) ?? 0) + 1);
    await Promise.allSettled(this.#underway.get(inode) ?? []);
  }

  /** One of those who have excluded them does so no longer. */
  readmit(inode: number): void {
    const left = (this.#leases.get(inode) ?? 0) - 1;
    if (left > 0) this.#leases.set(inode, left);
    else this.#leases.delete(inode);
  }
}
