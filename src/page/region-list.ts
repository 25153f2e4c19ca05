/** What regions there are, looked up seldom. @module */
import type { Catalog } from '../region/catalog.ts';
import type { Region } from '../region/region.ts';

/** Looking at a tree may take a two-hundredth of the time, at most. */
const restPerWork = 200;
const leastMilliseconds = 5000;

/** The first regions by name, and how many there are. A walk through the whole tree is remembered for a while. */
export class RegionList {
  readonly #catalog: Catalog;
  readonly #kept: number;
  #first: readonly Region[] = [];
  #count = 0;
  #nextWalk = 0;
  #walking = false;

  /** @param kept how many regions are remembered */
  constructor(catalog: Catalog, kept: number) {
    this.#catalog = catalog;
    this.#kept = kept;
  }

  /** As of the last walk; begins the next one when it is due. */
  get(): { readonly first: readonly Region[]; readonly count: number } {
    if (!this.#walking && performance.now() >= this.#nextWalk) void this.#walk();
    return { first: this.#first, count: this.#count };
  }

  async #walk(): Promise<void> {
    this.#walking = true;
    const began = performance.now();
    try {
      const regions = await this.#catalog.list();
      this.#first = regions.slice(0, this.#kept);
      this.#count = regions.length;
    } catch {
      // A tree that can't be read now may be later; what was seen before stands until then.
    } finally {
      const took = performance.now() - began;
      this.#nextWalk = performance.now() + Math.max(leastMilliseconds, took * restPerWork);
      this.#walking = false;
    }
  }
}
