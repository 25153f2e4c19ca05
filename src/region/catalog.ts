/** Which regions there are, and which generation each is now. @module */
import { LRUCache } from 'lru-cache';
import { descriptorLimit } from '../relay/descriptors.ts';
import { isSameChange, isSameFile, missing } from '../relay/file-identity.ts';
import {
  type FileIdentity,
  type FilePlace,
  type Generation,
  type Opened,
  type Relay,
  SystemError,
  type Tree,
} from '../relay/relay.ts';
import { contentTypeOf } from './content-type.ts';
import { FileTags } from './file-tags.ts';
import type { KeptVersions } from './kept-versions.ts';
import { Listing } from './listing/listing.ts';
import { type Dotfiles, isRegionName } from './name.ts';
import { describeRegion, moveRegion, type Region } from './region.ts';
import { leadsIntoState } from './state-folder.ts';
import { type RegionStates, type State, stateOfFile } from './states.ts';
import { unlessFailed, unlessMissing } from './unless-failed.ts';
import { contentOfEtag } from './validator.ts';
import { Watcher } from './watcher.ts';

/** A file or device that is served in place under a name. */
export type NamedFile = { readonly name: string; readonly path: string };

/** What a catalog is made of. A name in `files` that also is in `dir` is an error. */
export type CatalogSource = {
  readonly tree: Tree | undefined;
  readonly files: readonly NamedFile[];
  /** What is known of the tree's regions; files have none. */
  readonly states: RegionStates | undefined;
  /** Whether names may have segments that begin with a dot. Default `allow`. */
  readonly dotfiles?: Dotfiles | undefined;
  /** Names the generations of files that nothing is known of. */
  readonly tags?: FileTags | undefined;
  /** What becomes of regions that are replaced; undefined: no version is kept. */
  readonly kept?: KeptVersions | undefined;
};

/** What others have done to the file of an open region. */
export const externalChanges = ['replaced', 'changed', 'removed'] as const;
export type ExternalChange = (typeof externalChanges)[number];

/** Two sources for one name. */
export class NameClash extends Error {
  override readonly name = 'NameClash';
  readonly code = 'ERR_NAME_CLASH';
}

/** A file is to be served under a name that no region can have. */
export class BadName extends Error {
  override readonly name = 'BadName';
  readonly code = 'ERR_BAD_NAME';
}

/**
 * How many generations stay open that nobody holds. Each costs a descriptor, and a mapping where pages are huge or DAX:
 * at most half of the process's descriptors are for them, or an eighth where there are few.
 */
export const mostOpen = Math.min(16_384, Math.floor(descriptorLimit() / (descriptorLimit() < 1024 ? 8 : 2)));

/** How often some of the open regions are looked at that nobody asks for: all of them within about a minute. */
const sweepMilliseconds = 1000;
const leastSwept = 64;

/** What lanes open is taken over so much later, for a wake-up costs as much as opening one. */
const adoptMilliseconds = 20;

/** A file that is replaced each time it is opened is given up. */
const mostTries = 8;

/** Finds regions by name, and keeps the generation of each open for the next request. */
export class Catalog {
  /** Is told of each region whose version the service itself moves, or that it lets go of. */
  onChange: ((name: string) => void) | undefined;
  /** How often others have changed the files of open regions. */
  readonly externalChanges: Record<ExternalChange, number> = { replaced: 0, changed: 0, removed: 0 };
  /** Lists of the regions. */
  readonly list: Listing;
  /** Versions that were replaced; undefined where none is kept. */
  readonly kept: KeptVersions | undefined;
  readonly #relay: Relay;
  readonly #files: ReadonlyMap<string, string>;
  #tree: Tree | undefined;
  #states: RegionStates | undefined;
  readonly #dotfiles: Dotfiles;
  readonly #tags: FileTags;
  /** What a lane has opened becomes a region when somebody asks for it here. */
  readonly #open: LRUCache<string, Region | Opened>;
  /** Names of generations, also of those that are closed and still held. */
  readonly #names = new Map<number, string>();
  #forgetAt = 2 * mostOpen;
  /** Names whose files the service itself is exchanging; one at a time each. */
  readonly #ours = new Set<string>();
  readonly #watcher: Watcher;
  readonly #sweeper: NodeJS.Timeout;
  #unswept: string[] = [];
  /** Regions that the service itself has changed since the last sweep. */
  readonly #justMoved = new Set<string>();
  #adopting: NodeJS.Timeout | undefined;

  /** @throws SystemError when one of the files can't be opened; BadName; NameClash */
  constructor(relay: Relay, source: CatalogSource) {
    this.#relay = relay;
    this.#tree = source.tree;
    this.#states = source.states;
    this.#dotfiles = source.dotfiles ?? 'allow';
    this.#tags = source.tags ?? new FileTags();
    this.kept = source.kept;
    this.#files = new Map(source.files.map(({ name, path }) => [name, path]));
    this.list = new Listing({
      relay,
      files: this.#files,
      tree: () => this.#tree,
      states: () => this.#states,
      accepts: (name) => this.accepts(name),
      current: (name) => this.#current(name),
      peek: (name) => this.#peek(name),
      stateOf: (name, file) => this.#stateOf(name, file),
    });
    this.#watcher = new Watcher((name) => this.#lookAt(name));
    this.#open = new LRUCache({
      max: mostOpen,
      dispose: ({ content }, name) => {
        this.#watcher.unwatch(name);
        relay.closeGeneration(content.generation);
      },
    });
    this.#sweeper = setInterval(() => this.#sweep(), sweepMilliseconds).unref();
    try {
      for (const { name } of source.files) this.#checkFile(name);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get tree(): Tree | undefined {
    return this.#tree;
  }

  /** Serves another tree from now on; readers of the old one go on. Gives the generations that may still be read. */
  moveTo(tree: Tree, states: RegionStates): Generation['id'][] {
    this.#tree = tree;
    this.#states = states;
    this.kept?.clear(); // The lock of the tree that is left keeps no writer from their files any more.
    this.#open.clear();
    return [...this.#names.keys()];
  }

  /** Ends its own looking. The relay closes what is open. */
  close(): void {
    clearTimeout(this.#adopting);
    clearInterval(this.#sweeper);
    this.list.close();
    this.#watcher.close();
    this.kept?.close();
  }

  /** Whether a region can be called so: the one rule for whoever asks, by whichever route. */
  accepts(name: string): boolean {
    return isRegionName(name, this.#dotfiles);
  }

  /**
   * The region of this name as it is now. It looks at the file: one that was replaced, or changed in size or time, is a
   * new generation.
   *
   * @throws SystemError: ENOENT and its like when there is none
   */
  find(name: string): Region {
    this.adoptOpened();
    const known = this.#open.get(name);
    if (known && this.#isCurrent(name, known)) return this.#regionOf(name, known);
    if (!this.accepts(name)) throw new SystemError('ENOENT', JSON.stringify(name));
    const region = this.#describeOrForget(name);
    this.#keep(name, region);
    this.#watcher.watch(name, this.#pathOf(name));
    return region;
  }

  // Who has removed a file wants nobody to have it.
  #describeOrForget(name: string): Region {
    try {
      return this.#describe(name);
    } catch (error) {
      if (isMissing(error)) this.kept?.forget(name);
      throw error;
    }
  }

  #keep(name: string, open: Region | Opened): void {
    this.#open.set(name, open);
    this.#remember(open.content.generation.id, name);
  }

  #regionOf(name: string, open: Region | Opened): Region {
    if ('state' in open) return open;
    const region = describeOpened(name, open);
    this.#open.set(name, region, { noDisposeOnSet: true });
    return region;
  }

  /** Lanes have opened regions, and may be opening more: takes those of some milliseconds together. */
  laneHasOpened(): void {
    this.#adopting ??= setTimeout(() => this.adoptOpened(), adoptMilliseconds).unref();
  }

  /** Keeps what lanes have opened for the next request here, too. */
  adoptOpened(): void {
    clearTimeout(this.#adopting);
    this.#adopting = undefined;
    for (let some = this.#relay.takeOpened(); some.length > 0; some = this.#relay.takeOpened()) {
      for (const opened of some) this.#adopt(opened);
    }
  }

  // Where a region is open already, lanes go on with that.
  #adopt(opened: Opened): void {
    const { tree, path: name, content } = opened;
    if (tree !== this.#tree?.id || this.#open.has(name)) this.#relay.closeGeneration(content.generation);
    else this.#keep(name, opened);
  }

  /** The region of this name as it was when it was last looked at; undefined where it is not open. */
  recall(name: string): Region | undefined {
    const known = this.#open.get(name);
    return known && this.#regionOf(name, known);
  }

  /** Like `find`; undefined where there is no region of this name. */
  findAny(name: string): Region | undefined {
    return unlessFailed(() => this.find(name), missing);
  }

  /** What is open for the next request, by name. It does not look at files. */
  opened(): Iterable<[name: string, open: Pick<Region, 'content'>]> {
    return this.#open.entries();
  }

  /** How many those are: each costs a descriptor. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Whether a region of this name could be changed: it is one of the tree's, or would be. */
  isOfTree(name: string): boolean {
    return this.tree !== undefined && !this.#files.has(name);
  }

  /** Whether nothing was done to a region, as far as the service knows, since it was found. It does not look. */
  isLatest(region: Region): boolean {
    return this.#open.peek(region.name) === region;
  }

  /** The service has changed a region: gives it at its new version, or time, from now on. */
  moved(region: Region, version: number, epoch: number, file?: FileIdentity): Region {
    const isNew = region.state.version !== version || region.state.epoch !== epoch;
    if (isNew) this.onChange?.(region.name);
    // Each write would be told of, and mean nothing. A sweep watches the file again, once it is changed less often.
    this.#watcher.unwatch(region.name);
    this.#justMoved.add(region.name);
    const current = this.#open.peek(region.name);
    const { size } = region.content.generation;
    const generation = { ...region.content.generation, ...file, size };
    const state = { ...region.state, epoch, version, inPlace: true };
    const moved = moveRegion(region, { generation, epoch, version }, state);
    const isOpen = current?.content.generation.id === region.content.generation.id;
    if (isOpen) this.#open.set(region.name, moved, { noDisposeOnSet: true });
    // It was opened while the change went on, with the time that the file had then.
    else if (file && current && isSameFile(current.content.generation, file)) this.#open.delete(region.name);
    return moved;
  }

  /** Has a region opened anew at the next request: its size, or its file, is another one. */
  letGo(name: string): void {
    this.onChange?.(name);
    this.adoptOpened();
    this.#drop(name);
  }

  /** Has every region opened anew at the next request. */
  letGoOfAll(): void {
    this.adoptOpened();
    this.#open.clear();
  }

  /** Another file has the name of a region, whose version may be kept. @param file an opening of its own file */
  keepReplaced(region: Region, file: Generation): void {
    const generation = this.kept?.take(region, file);
    if (generation) this.#remember(generation.id, region.name);
  }

  // What is asked for by this name next is opened anew. Where another file has the name, the version may be kept.
  #drop(name: string): void {
    const open = this.kept && this.#open.peek(name);
    if (open) this.#keepIfReplaced(name, open);
    this.#open.delete(name);
  }

  #keepIfReplaced(name: string, open: Region | Opened): void {
    const { tree, path } = this.locate(name);
    try {
      if (isSameFile(this.#relay.identify(tree, path), open.content.generation)) return;
      this.keepReplaced('state' in open ? open : describeOpened(name, open), open.content.generation);
    } catch (error) {
      if (isMissing(error)) this.kept?.forget(name);
      else if (!(error instanceof SystemError)) throw error;
    }
  }

  /** Does the same for every region of the same file, by links or other names. */
  letGoOfFile({ content: { generation } }: Region): void {
    this.adoptOpened();
    const ofFile = [...this.#open].filter(([, { content }]) => isSameFile(content.generation, generation));
    const names = ofFile.map(([name]) => name);
    for (const name of names) this.letGo(name);
  }

  /** Like `findAny`, of a region that is not to be kept open. */
  peekAny(name: string): Region | undefined {
    return unlessMissing(() => this.#peek(name));
  }

  /** While `act` runs, a change of this name's file is the service's own. */
  async whileOurs<Result>(name: string, act: () => Promise<Result>): Promise<Result> {
    this.#ours.add(name);
    try {
      return await act();
    } finally {
      this.#ours.delete(name);
    }
  }

  /** The region name of a generation that is or was open. */
  nameOf(generation: Generation['id']): string {
    if (!this.#names.has(generation)) this.adoptOpened();
    return this.#names.get(generation) ?? '';
  }

  /** The generations of a region that are or were open, some of which may be held. */
  generationsOf(name: string): Generation['id'][] {
    return [...this.#names].flatMap(([id, itsName]) => (itsName === name ? [id] : []));
  }

  /** The path of a region's file, in its tree or absolute. @throws SystemError `ENOENT` without a tree */
  locate(name: string): FilePlace {
    const file = this.#files.get(name);
    if (file !== undefined) return { tree: undefined, path: file };
    if (!this.tree) throw new SystemError('ENOENT', name);
    return { tree: this.tree, path: name };
  }

  #checkFile(name: string): void {
    if (!this.accepts(name)) throw new BadName(`no region can be called ${JSON.stringify(name)} here`);
    this.find(name);
    if (this.tree && unlessMissing(() => this.#relay.identify(this.tree, name)))
      throw new NameClash(`region ${name} is also a file of the tree`);
  }

  #current(name: string): Region | undefined {
    const known = this.#open.peek(name);
    return known && this.#isCurrent(name, known) ? this.#regionOf(name, known) : undefined;
  }

  #peek(name: string): Region {
    const known = this.#current(name);
    if (known) return known;
    const region = this.#describe(name);
    this.#relay.closeGeneration(region.content.generation);
    return region;
  }

  // The state says how much to map before the file is opened; by then another file may have the name.
  #describe(name: string): Region {
    const { tree, path } = this.locate(name);
    if (tree && this.#states?.isRefused(name)) throw new SystemError('EAGAIN', name);
    if (tree && leadsIntoState(tree.root, path)) throw new SystemError('EXDEV', name);
    for (let tries = 0; tries < mostTries; tries++) {
      const file = this.#relay.identify(tree, path);
      const before = this.#stateOf(name, file);
      const generation = this.#openFile(tree, path, before.limit);
      const state = this.#stateOfOpened(name, file, before, generation);
      if (state) return describeRegion(name, this.#relay.judge(generation, state.epoch, state.version), state);
      this.#relay.closeGeneration(generation);
    }
    throw new SystemError('EAGAIN', name);
  }

  // Where descriptors or address space run out, it closes what was not asked for for longest.
  #openFile(tree: Tree | undefined, path: string, limit: number | undefined): Generation {
    for (;;) {
      try {
        return this.#relay.openGeneration(tree, path, limit);
      } catch (error) {
        const noRoom = error instanceof SystemError && (error.code === 'ENOMEM' || error.code === 'EMFILE');
        if (!noRoom || !(this.kept?.letOneGo() || this.#open.pop())) throw error;
      }
    }
  }

  // Others may have changed the file between look and opening: the state must be that of the opened one.
  #stateOfOpened(name: string, file: FileIdentity, before: State, generation: Generation) {
    if (isSameChange(file, generation)) return before;
    if (generation.inode !== file.inode) return undefined;
    const opened = before.limit === undefined ? generation : { ...generation, size: file.size };
    const state = this.#stateOf(name, opened);
    return state.limit === before.limit ? state : undefined;
  }

  #stateOf(name: string, file: FileIdentity): State {
    if (this.#states && !this.#files.has(name)) return this.#states.of(name, file);
    return stateOfFile(this.#tags.generationOf(file, this.#pathOf(name)));
  }

  #pathOf(name: string): string {
    const { tree, path } = this.locate(name);
    return tree ? `${tree.root}/${path}` : path;
  }

  // It closes a region whose file is gone or replaced, which would keep deleted pages in memory.
  #isCurrent(name: string, { content: { generation } }: Region | Opened): boolean {
    const { tree, path } = this.locate(name);
    try {
      if (this.#relay.isAt(generation, tree, path)) return true;
      this.#countUnlessOurs(name, generation, this.#relay.identify(tree, path));
    } catch (error) {
      if (isMissing(error)) this.#count(name, 'removed');
      this.#drop(name);
      throw error;
    }
    this.#drop(name);
    return false;
  }

  #countUnlessOurs(name: string, before: FileIdentity, now: FileIdentity): void {
    if (this.#states?.moves.isOwn(before, now)) return;
    this.#count(name, before.inode === now.inode ? 'changed' : 'replaced');
  }

  #count(name: string, change: ExternalChange): void {
    if (!this.#ours.has(name)) this.externalChanges[change]++;
  }

  #lookAt(name: string): void {
    const open = this.#open.peek(name);
    if (open) unlessFailed(() => this.#isCurrent(name, open));
  }

  #sweep(): void {
    this.#unswept = this.#unswept.length > 0 ? this.#unswept : [...this.#open.keys()];
    const count = Math.max(leastSwept, Math.ceil(this.#open.size / 64));
    for (const name of this.#unswept.splice(0, count)) {
      // What lanes have opened is not asked for once and never again, for all that is known by now.
      if (this.#open.has(name) && !this.#justMoved.has(name)) this.#watcher.watch(name, this.#pathOf(name));
      this.#lookAt(name);
    }
    this.#justMoved.clear();
  }

  // It forgets generations that are neither open nor held, once there can be many of them.
  #remember(generation: Generation['id'], name: string): void {
    this.#names.set(generation, name);
    if (this.#names.size < this.#forgetAt) return;
    for (const id of this.#names.keys()) if (!this.#relay.isKnown(id)) this.#names.delete(id);
    this.#forgetAt = 2 * Math.max(mostOpen, this.#names.size);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof SystemError && missing.has(error.code);
}

// What a lane has opened.
function describeOpened(name: string, { content, etag, contentType }: Opened): Region {
  const given = contentType === contentTypeOf(name) ? undefined : contentType;
  const { epoch, version } = content;
  const state = { ...contentOfEtag(etag, epoch, version), contentType: given, inPlace: epoch > 0, limit: undefined };
  return describeRegion(name, content, state);
}
