/** Lists of regions, made of names and looks at files. @module */
import { statSync } from 'node:fs';
import type { Page } from '../../relay/page.ts';
import { type FileIdentity, type Relay, SystemError, type Tree } from '../../relay/relay.ts';
import type { Seen } from '../../relay/witness.ts';
import { describeFile, listFile, listRegion, type Region, type Unopened } from '../region.ts';
import { leadsIntoState } from '../state-folder.ts';
import type { RegionStates, State } from '../states.ts';
import { unlessMissing } from '../unless-failed.ts';
import { type Look, lookAtSome } from './looks.ts';
import { Names, type WantedNames } from './names.ts';
import { Slices } from './slices.ts';

/** A region as a list tells of it. */
export type Listed = {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly contentType: string;
  readonly etag: string;
  /** What was seen of its pages; of a region that nobody reads, what was seen of other files on its device. */
  readonly seen: Seen;
  /** NUMA node of most of its pages; -1 when nobody knows, as of a region that nobody reads. */
  readonly node: number;
  /** Pages that were looked at, by NUMA node; empty for a region that nobody reads. */
  readonly pagesByNode: Readonly<Record<string, number>>;
};

/** Which part of a list is asked for. */
export type PageAsked = {
  /** The page begins behind this name; empty: at the beginning. */
  readonly after: string;
  /** The page has names that begin with this. */
  readonly prefix: string;
  /** The page has at most so many regions. */
  readonly limit: number;
};

/** What is listed. */
export type Listable = {
  readonly relay: Relay;
  /** Regions that are no files of the tree, by their names. */
  readonly files: ReadonlyMap<string, string>;
  tree(): Tree | undefined;
  states(): RegionStates | undefined;
  accepts(name: string): boolean;
  /** A region that is open, as its file is now. */
  current(name: string): Region | undefined;
  /** A region that is not kept open. @throws SystemError */
  peek(name: string): Region;
  stateOf(name: string, file: FileIdentity): State;
};

const everything = { after: '', prefix: '' };

/** Lists what is served. It opens nothing but the first file of a device, to see what holds its pages. */
export class Listing {
  readonly #of: Listable;
  readonly #names: Names;

  constructor(of: Listable) {
    this.#of = of;
    this.#names = new Names(of.tree, of.files.keys(), of.accepts);
  }

  close(): void {
    this.#names.close();
  }

  /**
   * A page of all regions, in the order of the bytes of their names. It leaves out what vanishes meanwhile, or what the
   * service may not look at.
   *
   * @throws SystemError when memory or descriptors are short, or a medium fails: it gives no incomplete list
   */
  async page({ limit, ...wanted }: PageAsked): Promise<Page<Listed, string>> {
    for (;;) {
      const tree = this.#of.tree();
      if (tree && isRemoved(tree)) throw new SystemError('ENOENT', tree.path);
      const items: Listed[] = [];
      for await (const some of this.#each(wanted, this.#listAny, () => limit + 1 - items.length)) {
        items.push(...some);
        if (items.length > limit) break;
      }
      if (tree !== this.#of.tree()) continue; // It is of two trees.
      return { items: items.slice(0, limit), next: items.length > limit ? items[limit - 1]?.name : undefined };
    }
  }

  /** The sizes of all regions of the tree in bytes, some at a time. @throws SystemError when one can't be looked at */
  sizes(): AsyncGenerator<readonly (readonly [name: string, bytes: number])[]> {
    return this.#each(everything, this.#sizeOf);
  }

  /**
   * Describes the regions of the tree that nobody reads, some at a time. It leaves out links, and regions that more than
   * a file and its sidecar tell of.
   *
   * @throws SystemError when memory or descriptors are short, or a medium fails
   */
  unopened(): AsyncGenerator<readonly Unopened[]> {
    const { relay, files, states, stateOf, peek } = this.#of;
    const opened = new Set<number>();
    return this.#each(everything, (name, file) => {
      if (!file || files.has(name) || states()?.isRefused(name)) return undefined;
      if (!opened.has(file.device) && !relay.seenOn(file.device)) unlessMissing(() => peek(name));
      opened.add(file.device);
      const seen = relay.seenOn(file.device);
      const state = seen && unlessMissing(() => stateOf(name, file));
      // One that another service changes right now has no version.
      const isPlain = state && state.limit === undefined && state.inPlace === state.epoch > 0;
      return isPlain ? { ...describeFile(name, file, state), file, seen } : undefined;
    });
  }

  /** All that `act` gives, some at a time, right after a look at their files; others have their turns of the event loop. */
  async *#each<Item>(
    wanted: WantedNames,
    act: (name: string, look: Look) => Item | undefined,
    most = () => Number.POSITIVE_INFINITY,
  ): AsyncGenerator<readonly Item[]> {
    const slices = new Slices();
    for await (const names of this.#names.some(wanted)) {
      for (let from = 0; from < names.length; ) {
        const looks = lookAtSome(this.#of.relay, this.#of.tree(), names.slice(from, from + most()));
        this.#of.states()?.files.lookAhead(names.slice(from, from + looks.length));
        const items = looks.map((look, at) => act(names[from + at] ?? '', look));
        from += looks.length;
        yield items.filter((item) => item !== undefined);
        if (slices.isOver) await slices.rest();
      }
    }
  }

  readonly #sizeOf = (name: string, look: Look): readonly [name: string, bytes: number] | undefined => {
    if (this.#of.files.has(name)) return undefined;
    const file = unlessMissing(() => look ?? this.#identify(name));
    return file && [name, this.#of.states()?.sizeOf(name, file) ?? file.size];
  };

  readonly #listAny = (name: string, look: Look): Listed | undefined =>
    unlessMissing(() => (this.#of.files.has(name) ? listRegion(this.#of.peek(name)) : this.#listFile(name, look)));

  #listFile(name: string, look: Look): Listed | undefined {
    const { relay, current, states, stateOf, peek } = this.#of;
    const known = current(name);
    if (known) return listRegion(known);
    if (states()?.isRefused(name)) return undefined;
    const file = look ?? this.#identify(name);
    const seen = relay.seenOn(file.device);
    return seen ? listFile(name, file, stateOf(name, file), seen) : listRegion(peek(name));
  }

  // A link can lead to what no region is.
  #identify(name: string): FileIdentity {
    const tree = this.#of.tree();
    if (tree && leadsIntoState(tree.root, name)) throw new SystemError('EXDEV', name);
    return this.#of.relay.identify(tree, name);
  }
}

/** A folder that was removed while it is open can be read, and has nothing in it. */
function isRemoved({ root }: Tree): boolean {
  return statSync(root).nlink === 0;
}
