/** Lists of regions, made of names and looks at files: nothing is opened for them. @module */
import type { Page } from '../../relay/page.ts';
import type { Tree } from '../../relay/relay.ts';
import type { Seen } from '../../relay/witness.ts';
import { compareBytes, firstFrom } from './byte-order.ts';
import { Folders } from './folder.ts';
import { Slices } from './slices.ts';
import { type Wanted, walkTree } from './walk.ts';

/** A region as a list tells of it. */
export type Listed = {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly contentType: string;
  readonly etag: string;
  /** Of a region that nobody reads, what was seen of other files on its device. */
  readonly seen: Seen;
  /** NUMA node of most of its pages; -1 when nobody knows, as of a region that nobody reads. */
  readonly node: number;
  /** Pages that were looked at, by NUMA node; empty for a region that nobody reads. */
  readonly pagesByNode: Readonly<Record<string, number>>;
};

/** Which part of a list is asked for. */
export type PageAsked = {
  /** Only names behind this one; empty: from the beginning. */
  readonly after: string;
  /** Only names that begin so. */
  readonly prefix: string;
  /** At most so many. */
  readonly limit: number;
};

/** Where names come from. */
export type Names = {
  /** The tree that is served now. */
  tree(): Tree | undefined;
  /** Names that are regions wherever their files are. */
  readonly files: Iterable<string>;
  /** Whether a region of the tree can have this name, or a folder of regions. */
  isName(name: string): boolean;
};

/** Gives what it knows of the first of some names, one at least: undefined where there is no region. */
type Describe<Item> = (names: readonly string[]) => readonly (Item | undefined)[];

/** Lists what is served, by name. */
export class Listing {
  readonly #tree: () => Tree | undefined;
  readonly #files: readonly string[];
  readonly #isName: (name: string) => boolean;
  readonly #folders = new Folders();

  constructor({ tree, files, isName }: Names) {
    this.#tree = tree;
    this.#files = [...files].sort(compareBytes);
    this.#isName = isName;
  }

  close(): void {
    this.#folders.close();
  }

  /**
   * A page of the regions that `describe` knows, in the order of the bytes of their names.
   *
   * @param describe as `each` has it
   * @throws SystemError when a folder can't be read; what `describe` throws
   */
  async page<Item extends { readonly name: string }>(
    { limit, ...wanted }: PageAsked,
    describe: Describe<Item>,
  ): Promise<Page<Item, string>> {
    const items: Item[] = [];
    const describeOnly = (names: readonly string[]) => describe(names.slice(0, limit + 1 - items.length));
    for await (const some of this.each(wanted, describeOnly)) {
      items.push(...some);
      if (items.length > limit) return { items: items.slice(0, limit), next: items[limit - 1]?.name };
    }
    return { items, next: undefined };
  }

  /** All that `describe` gives, some at a time; others have their turns of the event loop. @throws SystemError */
  async *each<Item>(wanted: Omit<Wanted, 'enters'>, describe: Describe<Item>): AsyncGenerator<readonly Item[]> {
    const slices = new Slices();
    for await (const names of this.#names(wanted)) {
      for (let from = 0; from < names.length; ) {
        const described = describe(names.slice(from));
        from += described.length;
        yield described.filter((item) => item !== undefined);
        if (slices.isOver) await slices.rest();
      }
    }
  }

  /** Names of files and of what has the name of a region in the tree, some at a time. @throws SystemError */
  async *#names(wanted: Omit<Wanted, 'enters'>): AsyncGenerator<readonly string[]> {
    const files = this.#files.filter((name) => compareBytes(name, wanted.after) > 0 && name.startsWith(wanted.prefix));
    for await (const names of this.#ofTree(wanted)) {
      const between = files.splice(0, firstFrom(files, names.at(-1) ?? ''));
      if (between.length === 0 && !files.includes(names.at(-1) ?? '')) {
        yield names;
        continue;
      }
      // A file of the tree that has the name of another region is not that region.
      yield [...names, ...between].sort(compareBytes).filter((name, at, all) => name !== all[at - 1]);
    }
    yield files;
  }

  /** The same of the tree alone. @throws SystemError */
  async *#ofTree(wanted: Omit<Wanted, 'enters'>): AsyncGenerator<readonly string[]> {
    const tree = this.#tree();
    if (!tree) return;
    const walk = walkTree(this.#folders, tree.root, { ...wanted, enters: this.#isName });
    for await (const names of walk) yield names.filter((name) => this.#isName(name));
  }
}
