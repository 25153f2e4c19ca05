/** What is held, by region, and the oldest of it. @module */
import type { Catalog } from '../region/catalog.ts';
import type { Lease } from '../region/change/leases.ts';
import type { Reference } from '../relay/relay.ts';
import { type CellState, cellStates, type HeldRange } from './page-map.ts';

/** What is held of one region. */
export type Held = { readonly ranges: HeldRange[]; references: number; leases: number };

/** Takes references a page at a time: each costs little, however many there are. */
export class Holds {
  /** How many references were taken. */
  count = 0;
  readonly #most: number;
  readonly #byGeneration = new Map<number, Held>();
  /** The oldest of them, in order. */
  readonly oldest: Reference[] = [];

  /** @param most how many of the oldest are kept */
  constructor(most: number) {
    this.#most = most;
  }

  add(references: readonly Reference[]): void {
    this.count += references.length;
    for (const reference of references) {
      const { generation, first, last, state } = reference;
      const held = entryOf(this.#byGeneration, generation);
      held.references++;
      held.ranges.push({ first, last, state: cellStates[state] });
      this.#keepIfOld(reference);
    }
  }

  /** What was taken, and leases, by the names of their regions. */
  byName(catalog: Catalog, leases: readonly Lease[]): ReadonlyMap<string, Held> {
    const byName = new Map<string, Held>();
    for (const [generation, { ranges, references }] of this.#byGeneration) {
      const held = entryOf(byName, catalog.nameOf(generation));
      held.references += references;
      for (const range of ranges) held.ranges.push(range);
    }
    for (const { region, first, last } of leases) {
      const held = entryOf(byName, region);
      held.leases++;
      held.ranges.push({ first, last, state: cellStates.leased satisfies CellState });
    }
    return byName;
  }

  // Keeps the oldest few in order; of many thousands, sorting all would cost more than looking at them.
  #keepIfOld(reference: Reference): void {
    const youngest = this.oldest.at(-1);
    if (this.oldest.length === this.#most && youngest && youngest.ageSeconds >= reference.ageSeconds) return;
    const at = this.oldest.findIndex(({ ageSeconds }) => ageSeconds < reference.ageSeconds);
    this.oldest.splice(at < 0 ? this.oldest.length : at, 0, reference);
    if (this.oldest.length > this.#most) this.oldest.pop();
  }
}

function entryOf<Key>(map: Map<Key, Held>, key: Key): Held {
  const known = map.get(key);
  if (known) return known;
  const made = { ranges: [], references: 0, leases: 0 };
  map.set(key, made);
  return made;
}
