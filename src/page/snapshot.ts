/** What the page shows at one moment. Its size has a bound, whatever is served and held. @module */
import type { Catalog } from '../region/catalog.ts';
import type { Lease } from '../region/change/leases.ts';
import type { Region } from '../region/region.ts';
import { unlessFailed } from '../region/unless-failed.ts';
import { referencePages } from '../relay/reference-pages.ts';
import { answeredByLanes, type Counters, type Engine, type Reference, type Relay } from '../relay/relay.ts';
import { type Held, Holds } from './holds.ts';
import { type ThreadTime, threadTimes } from './lane-load.ts';
import { drawPageMap, type PageMap } from './page-map.ts';
import { RegionList } from './region-list.ts';

const mostRegions = 16;
const mostHolds = 12;
const mostLeases = 12;
/** Shared among the regions that are shown. */
const cellsInAll = 4096;
const cellsOfOne = { least: 256, most: 1024 };

/** The first of several, and how many are left out. */
export type Some<Item> = { readonly list: readonly Item[]; readonly more: number };

/** A region and its pages. Bytes. */
export type ShownRegion = PageMap & {
  readonly name: string;
  readonly size: number;
  readonly pageSize: number;
  readonly backing: string;
  readonly engine: string;
  readonly copyFree: boolean | null;
  readonly references: number;
  readonly leases: number;
};

/** A reference by its region's name. */
export type ShownHold = Omit<Reference, 'generation'> & { readonly region: string };

/** A lease without its id: who knows that can end it. */
export type ShownLease = Omit<Lease, 'id' | 'path'>;

/** Some regions; where `isUncounted`, more are left out than `more` says. */
export type ShownRegions = Some<ShownRegion> & { readonly isUncounted: boolean };

/** All that the page shows. */
export type Snapshot = {
  readonly totals: Totals;
  readonly regions: ShownRegions;
  /** The oldest first. */
  readonly holds: Some<ShownHold>;
  readonly leases: Some<ShownLease>;
};

const shownCounters = [
  'sentBytes',
  'references',
  'heldBytes',
  'quarantinedBytes',
  'connections',
  'reading',
  'breaks',
  'waitingReaders',
  'waitingWriters',
] as const satisfies readonly (keyof Counters)[];

/** Bytes and counts, since the service began or as they are now. */
export type Totals = Pick<Counters, (typeof shownCounters)[number]> & {
  readonly copiedBytes: number;
  /** Response bodies that ended, and those of them that a lane answered by itself. */
  readonly responses: number;
  readonly express: number;
  /** How often a client was beyond a limit, by why. */
  readonly limited: Readonly<Record<string, number>>;
};

/** What a snapshot is taken of. */
export type Shown = {
  readonly relay: Relay;
  readonly catalog: Catalog;
  /** How a region's bytes reach a socket. */
  engineOf(region: Region): Engine;
  leases(): readonly Lease[];
  /** How often a client was beyond a limit, by why. */
  limited(now: Counters): Totals['limited'];
};

/** Takes snapshots; costs nothing while none is taken. */
export class Snapshots {
  readonly #shown: Shown;
  readonly #regions: RegionList;

  constructor(shown: Shown) {
    this.#shown = shown;
    this.#regions = new RegionList(shown.catalog, mostRegions);
  }

  /**
   * Looks at every connection that is undone, for some microseconds each. Others have their turn after each thousand.
   */
  async take(): Promise<Snapshot> {
    const { relay, catalog } = this.#shown;
    const holds = new Holds(mostHolds);
    for await (const references of referencePages(relay)) holds.add(references);
    const leases = this.#shown.leases();
    const now = relay.counters();
    return {
      totals: { ...totalsOf(now), limited: this.#shown.limited(now) },
      regions: this.#drawRegions(holds.byName(catalog, leases)),
      holds: shownHolds(holds, catalog),
      leases: firstToEnd(leases),
    };
  }

  /** How busy the threads have been; two system calls for each. */
  threads(): readonly ThreadTime[] {
    return threadTimes(this.#shown.relay);
  }

  // Of too many, those that something holds are shown, for one looks for them. All are sorted by name, so that none
  // moves.
  #drawRegions(held: ReadonlyMap<string, Held>): ShownRegions {
    const known = this.#regions.get();
    const byName = new Map(known.first.map((region) => [region.name, region]));
    const names = [...new Set([...[...held.keys()].sort().slice(0, mostRegions), ...byName.keys()])];
    const shown = names.slice(0, mostRegions).sort();
    // One that was made, or first asked for, after the last walk through the tree has to be found.
    const find = (name: string) => unlessFailed(() => this.#shown.catalog.findAny(name));
    const regions = shown.flatMap((name) => byName.get(name) ?? find(name) ?? []);
    const share = 2 ** Math.floor(Math.log2(cellsInAll / Math.max(1, regions.length)));
    const cells = Math.min(cellsOfOne.most, Math.max(cellsOfOne.least, share));
    const list = regions.map((region) => this.#draw(region, held.get(region.name), cells));
    return { list, more: Math.max(0, known.count - list.length), isUncounted: known.isUncounted };
  }

  #draw(region: Region, held: Held | undefined, cells: number): ShownRegion {
    const { size, pageSize, backing, seen } = region.content.generation;
    const engine = this.#shown.engineOf(region);
    const { ranges = [], references = 0, leases = 0 } = held ?? {};
    const map = drawPageMap(size, pageSize, ranges, cells);
    return { name: region.name, size, pageSize, backing, engine, copyFree: seen[engine], references, leases, ...map };
  }
}

function shownHolds({ oldest, count }: Holds, catalog: Catalog): Some<ShownHold> {
  const list = oldest.map(({ generation, ageSeconds, ...rest }) => ({
    ...rest,
    region: catalog.nameOf(generation),
    ageSeconds: Math.round(ageSeconds * 100) / 100,
  }));
  return { list, more: count - list.length };
}

function firstToEnd(leases: readonly Lease[]): Some<ShownLease> {
  const sorted = [...leases].sort((a, b) => (a.expiresAt < b.expiresAt ? -1 : 1));
  const list = sorted.slice(0, mostLeases).map(({ id: _id, path: _path, ...shown }) => shown);
  return { list, more: leases.length - list.length };
}

function totalsOf(counters: Counters): Omit<Totals, 'limited'> {
  const shown = Object.fromEntries(shownCounters.map((name) => [name, counters[name]]));
  const byEngine = Object.values(counters.transmissions);
  return {
    ...(shown as Pick<Counters, (typeof shownCounters)[number]>),
    copiedBytes: sum(Object.values(counters.copiedBytes)),
    responses: sum(byEngine.flatMap((outcomes) => Object.values(outcomes))),
    express: answeredByLanes(counters),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
