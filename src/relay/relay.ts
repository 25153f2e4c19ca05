/**
 * What a relay is, whichever way it works: `NativeRelay` over the shim, `PortableRelay` where there is none.
 *
 * @module
 */

import { type Counted, distinctions } from './counters.ts';
import type { Durations } from './durations.ts';
import type { Segment } from './extent.ts';
import type { Means } from './means.ts';
import type { Page } from './page.ts';
import type { Seen, Verdicts } from './witness.ts';

/** How bytes reach the socket (docs/glossary.md). */
export const engines = distinctions.engine.values;
export type Engine = (typeof engines)[number];

/** How a transmission ended. */
export const outcomes = distinctions.outcome.values;
export type Outcome = (typeof outcomes)[number];

/** What holds a generation's pages. */
export type Backing = 'fsdax' | 'devdax' | 'hugetlb' | 'tmpfs' | 'memfd' | 'pagecache';

/** Who is at the other end: in this kernel and visible, behind a network card, or neither for certain. */
export type PeerKind = 'local' | 'remote' | 'unaskable';

/** What a path names now. */
export type FileIdentity = {
  readonly device: number;
  readonly inode: number;
  /** Bytes. */
  readonly size: number;
  /** mtime: of its bytes. Anybody who may write to the file can set it. */
  readonly modifiedSeconds: number;
  readonly modifiedNanoseconds: number;
  /** ctime: of anything about its inode, names and permissions included. Nobody can set it. */
  readonly changedSeconds: number;
  readonly changedNanoseconds: number;
};

/** One opened file. */
export type Generation = FileIdentity & {
  readonly id: number;
  readonly backing: Backing;
  /** Bytes: what references and leases are counted by. */
  readonly pageSize: number;
  /** Which engines were seen to send pages of its kind without a copy. */
  readonly seen: Verdicts;
  /** NUMA node of most of its pages; -1 when nobody knows. */
  readonly node: number;
  /** Pages that were looked at, by the NUMA node that they are on; of a machine or device with one node, one. */
  readonly pagesByNode: Readonly<Record<string, number>>;
};

/** The content that was judged: a reference to anything else is refused. */
export type JudgedContent = { readonly generation: Generation; readonly epoch: number; readonly version: number };

/**
 * What a writer waits for: that references to its pages are done, that sockets have their bytes (it writes to fresh
 * pages), or for other writers alone (no byte that is held changes).
 */
export type Needs = 'done' | 'accepted' | 'nothing';

/** How a byte of a tree's lock file is locked against other relays, of this process or another. */
export type LockMode = 'unlocked' | 'shared' | 'exclusive';

/** An overwrite in place: of `length` bytes of a file from `offset` on. */
export type Overwrite = {
  readonly to: number;
  /** The new bytes, or a descriptor of a file that begins with them. */
  readonly from: Uint8Array | number;
  readonly offset: number;
  readonly length: number;
  readonly pageSize: number;
  readonly fileSize: number;
  readonly means: Means;
  /** The kernel may write the bytes to their medium whenever it likes. */
  readonly unsynced: boolean;
  /** The path of a file that holds `heading`, and behind that the old bytes, for as long as they may be needed. */
  readonly note: string;
  readonly heading: string;
};

/** A place in the queue for pages of one file. */
export type Claim = {
  readonly id: number;
  /** It was had when it was asked for: nothing has to be waited for. */
  readonly atOnce: boolean;
  /** True when it is had; false when it can't be, for pages of it are quarantined. */
  readonly granted: Promise<boolean>;
};

/** Names one transmission, and its reference, inside its relay. */
export type TransmissionId = number;

/** One reference, as `GET /references` shows it. Offsets in bytes; `last` is inclusive. */
export type Reference = {
  readonly id: TransmissionId;
  readonly generation: number;
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  readonly state: 'unsent' | 'sent' | 'quarantined';
  readonly engine: Engine;
  readonly peer: string;
  readonly peerKind: PeerKind;
  readonly ageSeconds: number;
};

/** A page of references: those with ids above `after` (default all), at most `limit` (default and most: 1,000) of them. */
export type ReferencesAsked = {
  /** Only of this generation. */
  readonly generation?: Generation['id'] | undefined;
  readonly after?: TransmissionId | undefined;
  readonly limit?: number | undefined;
};

/** What a relay has done since it was opened. Bytes and counts; seconds where it says so. */
export type Counters = Counted & {
  /** How long those waited that had to: until they had their pages, or gave up. */
  readonly waits: Readonly<Record<'writer' | 'reader', Durations>>;
};

/** How many requests lanes have answered by themselves. */
export function answeredByLanes({ answers }: Pick<Counters, 'answers'>): number {
  return Object.values(answers).reduce((all, count) => all + count, 0);
}

/** A native thread. `node` is the NUMA node that it runs on. */
export type Lane = { readonly connections: number; readonly cpuSeconds: number; readonly node: number };

/** How a body went out: `bytes` of it are with the socket. `code` is an errno by name. */
export type Sent = { readonly outcome: Outcome; readonly code: string | undefined; readonly bytes: number };

/** A system call that failed; `code` is its errno by name ('ENOENT'). */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  readonly code: string;

  constructor(code: string, what: string, cause?: unknown) {
    super(`${what}: ${code}`, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** A directory inside which paths are looked up; nothing outside of it is ever reached. */
export type Tree = {
  readonly id: number;
  /** As it was given; it may lead elsewhere by now. */
  readonly path: string;
  /** Leads to the directory for as long as the tree is open, whatever becomes of its path. */
  readonly root: string;
};

/** What a lane has opened, and what it was told of that before. */
export type Opened = {
  readonly content: JudgedContent;
  /** The id of the tree, and the path there. */
  readonly tree: number;
  readonly path: string;
  readonly etag: string;
  readonly contentType: string;
};

/** The path of a file, in a tree or anywhere. */
export type FilePlace = { readonly tree: Tree | undefined; readonly path: string };

/** Generations, and references to their pages. Every call is synchronous and short. */
export type Relay = {
  /** Why the portable engine serves; undefined when the shim does. */
  readonly portableBecause: string | undefined;

  /** @throws SystemError */
  openTree(path: string): Tree;
  /** Nothing is looked up in it any more. What was opened stays open. */
  closeTree(tree: Tree): void;
  /** What a path names, inside a tree or anywhere. @throws SystemError; EINVAL for what has no pages */
  identify(tree: Tree | undefined, path: string): FileIdentity;
  /**
   * What the first of some names in one folder of a tree are, looked at in one go. Of each that is a file itself it gives
   * what `identify` would, of anything else, such as a link, errno below zero. One at least is looked at, and no more than
   * take a few milliseconds.
   *
   * @throws SystemError where nobody can look into the folder
   */
  identifySome(tree: Tree, folder: string, names: readonly string[]): (FileIdentity | number)[];
  /**
   * Whether a path still names this generation: one inode on one device, unchanged in size, mtime and ctime.
   *
   * @throws SystemError when it names nothing that has pages
   */
  isAt(generation: Generation, tree: Tree | undefined, path: string): boolean;
  /** Opens a file, to serve at most `limit` bytes of it. @throws SystemError */
  openGeneration(tree: Tree | undefined, path: string, limit?: number): Generation;
  /** Opens the file of an open generation again, whatever names it has by now. @throws SystemError */
  openAgain(generation: Generation): Generation;
  /** Whether the file of an open generation is as it was when that was opened, by size, mtime and ctime. */
  isUnchanged(generation: Generation): boolean;
  /**
   * The content of a generation that is open, for `hold`.
   *
   * @param epoch how far it was changed in place before it was opened, and
   * @param version where the relay does not know better, from a change of its own
   */
  judge(generation: Generation, epoch: number, version: number): JudgedContent;
  /** No new references; its descriptor, and its mapping, go with its last one. */
  closeGeneration(generation: Generation): void;
  /** Some files that lanes have opened by themselves, which the caller closes from now on; none when it has all. */
  takeOpened(): readonly Opened[];

  /**
   * Takes a reference on the pages of all segments: `stale` when the content is no longer what was judged, `blocked`
   * while a writer has some of them or waits for them. Ends by `release`, or by the connection that it is given to.
   *
   * @param place a granted one; it ends with the call, but for `stale` and `blocked`
   * @param inPlace looks first whether the file is still at the path that it was opened by: else it is `stale`
   * @throws SystemError when descriptors or memory are short
   */
  hold(
    judged: JudgedContent,
    engine: Engine,
    segments: readonly Segment[],
    place?: Claim,
    inPlace?: boolean,
  ): TransmissionId | 'stale' | 'blocked';
  /** A reader's place in the queue behind the writers of these pages. Ends by `hold` or `endPlace`. */
  place(generation: Generation, segments: readonly Segment[]): Claim;
  endPlace(place: Claim): void;
  /** Calls back when a writer has waited too long for a transmission that is read, not sent: release it soon. */
  onUnwanted(transmission: TransmissionId, callback: () => void): void;
  /** The transmission will be read, not sent, whatever engine it was held for. */
  changeToStream(transmission: TransmissionId): void;
  /** Reads into `buffer` at `offset` of a generation that the caller holds; 0 at the end of its file. */
  read(generation: Generation, buffer: Uint8Array, offset: number): Promise<number>;
  /**
   * A descriptor of a generation's file for the caller, who reads through it at its leisure and closes it; undefined
   * where that can't be had, and for what can only be mapped (devdax).
   */
  reopen(generation: Generation): number | undefined;
  /** So many more bytes of the body were copied out of the pages. */
  advance(transmission: TransmissionId, bytes: number): void;
  /** Ends a transmission that no connection carries. */
  release(transmission: TransmissionId, outcome: Outcome): void;

  /** Whether content is still what was judged, and nobody may be changing bytes of it right now. */
  isSettled(judged: JudgedContent): boolean;

  /** References in the order of their ids: of those that are asked for, the ones that a look finds to be still held. */
  references(asked?: ReferencesAsked): Page<Reference, TransmissionId>;
  /** Whether a generation is open, or closed and still held. */
  isKnown(generation: Generation['id']): boolean;
  counters(): Counters;
  /** The lanes, each always in its place; none without the shim. */
  lanes(): readonly Lane[];
  /** What was seen so far of the backings of what was opened. */
  seen(): readonly Seen[];
  /** The same of one device; undefined where nothing was seen there, or files on it have several backings. */
  seenOn(device: number): Seen | undefined;
  readonly isClosed: boolean;
  /** Gives everything back, after the reads that are under way. Nothing may be asked of it after. */
  close(): Promise<void>;
};
