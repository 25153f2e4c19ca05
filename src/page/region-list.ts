/** What regions there are, looked up seldom. @module */
import type { Catalog } from '../region/catalog.ts';
import type { Region } from '../region/region.ts';

/** Looking at a tree may take a two-hundredth of the time, at most. */
const restPerWork = 200;
const leastMilliseconds = 5000;

/** How many regions are counted: what is counted is looked at. */
const mostCounted = 1000;

/** What is known of the regions of a catalog. */
export type KnownRegions = {
  /** The first by name. */
  readonly first: readonly Region[];
  readonly count: number;
  /** Whether there are more than were counted. */
  readonly isUncounted: boolean;
};

/** The first regions by name, and how many there are. A look at the tree is remembered for a while. */
export class RegionList {
  readonly #catalog: Catalog;
  readonly #kept: number;
  #known: KnownRegions = { first: [], count: 0, isUncounted: false };
  #nextLook = 0;
  #looking = false;

  /** @param kept how many regions are remembered */
  constructor(catalog: Catalog, kept: number) {
    this.#catalog = catalog;
    this.#kept = kept;
  }

  /** What the last look has seen; begins the next one when it is due. */
  get(): KnownRegions {
    if (!this.#looking && performance.now() >= this.#nextLook) void this.#look();
    return this.#known;
  }

  async #look(): Promise<void> {
    this.#looking = true;
    const began = performance.now();
    try {
      const { items, next } = await this.#catalog.list.page({ after: '', prefix: '', limit: mostCounted });
      const first = items.slice(0, this.#kept).flatMap(({ name }) => this.#catalog.peekAny(name) ?? []);
      this.#known = { first, count: items.length, isUncounted: next !== undefined };
    } catch {
      // A tree that can't be read now may be later; what was seen before stands until then.
    } finally {
      const took = performance.now() - began;
      this.#nextLook = performance.now() + Math.max(leastMilliseconds, took * restPerWork);
      this.#looking = false;
    }
  }
}
