/** Which regions there are, and which generation each is now. @module */
import { setImmediate } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { type Generation, type Relay, SystemError, type Tree } from '../relay/relay.ts';
import { isRegionName } from './name.ts';
import { describeRegion, type Region } from './region.ts';
import { walkTree } from './walk.ts';

/** A file or device that is served in place under a name. */
export type NamedFile = { readonly name: string; readonly path: string };

/** What a catalog is made of. A name in `files` that also is in `dir` is an error. */
export type CatalogSource = { readonly dir: string | undefined; readonly files: readonly NamedFile[] };

/** Two sources for one name. */
export class NameClash extends Error {
  override readonly name = 'NameClash';
}

/** Opened generations that nobody holds; each costs a descriptor and a mapping. */
const mostOpen = 1024;

/** How often open regions that nobody asks for are looked at; `namesAtOnce` of them at a time. */
const sweepMilliseconds = 1000;

/** Names that are looked up before other requests have their turn. */
const namesAtOnce = 64;

/** Finds regions by name, and keeps the generation of each open for the next request. */
export class Catalog {
  readonly #relay: Relay;
  readonly #tree: Tree | undefined;
  readonly #files: ReadonlyMap<string, string>;
  readonly #open: LRUCache<string, Region>;
  /** Names of generations, also of those that are closed and still held. */
  readonly #names = new Map<number, string>();
  readonly #sweeper: NodeJS.Timeout;
  #unswept: string[] = [];

  /** @throws SystemError when `dir` or one of the files can't be opened; NameClash */
  constructor(relay: Relay, source: CatalogSource) {
    this.#relay = relay;
    this.#tree = source.dir === undefined ? undefined : relay.openTree(source.dir);
    this.#files = new Map(source.files.map(({ name, path }) => [name, path]));
    this.#open = new LRUCache({ max: mostOpen, dispose: (region) => relay.closeGeneration(region.content.generation) });
    for (const { name } of source.files) this.#checkFile(name);
    this.#sweeper = setInterval(() => this.#sweep(), sweepMilliseconds).unref();
  }

  /** Ends its own looking. The relay closes what is open. */
  close(): void {
    clearInterval(this.#sweeper);
  }

  /**
   * The region of this name as it is now. Looks at the file each time: one that was replaced, or changed in size or
   * time, is a new generation.
   *
   * @throws SystemError: ENOENT and its like when there is none
   */
  find(name: string): Region {
    const { tree, path } = this.#locate(name);
    const known = this.#open.get(name);
    if (known && this.#isCurrent(name, known)) return known;
    const region = describeRegion(name, this.#relay.openGeneration(tree, path));
    this.#open.set(name, region);
    this.#remember(region.content.generation.id, name);
    return region;
  }

  /**
   * All regions, by name. What vanishes while this looks, or can't be read, is left out. Those that nobody reads are
   * not kept open by it.
   */
  async list(): Promise<Region[]> {
    const names = [...this.#files.keys()];
    if (this.#tree) names.push(...(await walkTree(this.#tree.path)));
    const regions: Region[] = [];
    for (const [at, name] of names.sort().entries()) {
      regions.push(...this.#describeQuietly(name));
      if (at % namesAtOnce === namesAtOnce - 1) await setImmediate();
    }
    return regions;
  }

  /** The region name of a generation that is or was open. */
  nameOf(generation: Generation['id']): string {
    return this.#names.get(generation) ?? '';
  }

  /** Forgets the names of generations that are neither open nor in `held`. */
  forgetNames(held: ReadonlySet<number>): void {
    const open = new Set([...this.#open.values()].map(({ content }) => content.generation.id));
    for (const id of this.#names.keys()) if (!held.has(id) && !open.has(id)) this.#names.delete(id);
  }

  #locate(name: string): { tree: Tree | undefined; path: string } {
    const file = this.#files.get(name);
    if (file !== undefined) return { tree: undefined, path: file };
    if (!this.#tree) throw new SystemError('ENOENT', name);
    return { tree: this.#tree, path: name };
  }

  #checkFile(name: string): void {
    this.find(name);
    if (this.#tree && this.#inTree(name)) throw new NameClash(`region ${name} is also a file of the tree`);
  }

  #inTree(name: string): boolean {
    try {
      this.#relay.identify(this.#tree, name);
      return true;
    } catch (error) {
      if (error instanceof SystemError) return false;
      throw error;
    }
  }

  #describeQuietly(name: string): Region[] {
    try {
      return isRegionName(name) ? [this.#peek(name)] : [];
    } catch (error) {
      if (error instanceof SystemError) return [];
      throw error;
    }
  }

  #peek(name: string): Region {
    const known = this.#open.peek(name);
    if (known && this.#isCurrent(name, known)) return known;
    const { tree, path } = this.#locate(name);
    const region = describeRegion(name, this.#relay.openGeneration(tree, path));
    this.#relay.closeGeneration(region.content.generation);
    return region;
  }

  // A region whose file is gone or another one is closed: it would keep deleted pages in memory.
  #isCurrent(name: string, region: Region): boolean {
    const { tree, path } = this.#locate(name);
    try {
      if (this.#relay.isAt(region.content.generation, tree, path)) return true;
    } catch (error) {
      this.#open.delete(name);
      throw error;
    }
    this.#open.delete(name);
    return false;
  }

  #sweep(): void {
    this.#unswept = this.#unswept.length > 0 ? this.#unswept : [...this.#open.keys()];
    for (const name of this.#unswept.splice(0, namesAtOnce)) {
      const region = this.#open.peek(name);
      try {
        if (region) this.#isCurrent(name, region);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
      }
    }
  }

  #remember(generation: Generation['id'], name: string): void {
    this.#names.set(generation, name);
    if (this.#names.size <= 2 * mostOpen) return;
    this.forgetNames(new Set(this.#relay.references().map((reference) => reference.generation)));
  }
}
