/**
 * The one module that loads the native shim. Results below zero are errno, negated; the headers in native-shim/core have the
 * contracts.
 *
 * @module
 */
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type { Counted } from './counters.ts';
import type { Publication, Responding } from './publication.ts';
import type {
  Backing,
  Engine,
  FileIdentity,
  Generation,
  Lane,
  LockMode,
  Needs,
  Outcome,
  Overwrite,
  PeerKind,
  Reference,
} from './relay.ts';

declare const relayBrand: unique symbol;
/** A relay of the shim: an object that only the shim can make. */
export type ShimRelay = { readonly [relayBrand]: true };

declare const logBrand: unique symbol;
/** A log of the shim: an object that only the shim can make. */
export type ShimLog = { readonly [logBrand]: true };

export type ShimOptions = {
  readonly lanes: number;
  readonly maxHoldSeconds: number;
  readonly maxBrokenOff: number;
};

/** What is opened; what was seen of its kind is added to it. */
export type OpenedFile = Omit<Generation, 'seen'>;

/** Where scratch pages come from: a nameless file in a folder, a memfd, one of huge pages, an unused devdax device. */
export type ScratchKind = 'folder' | 'memfd' | 'hugetlb' | 'device';

/** kind, id, outcome, errno and bytes of each event, one after the other. */
export type ShimEvents = readonly (number | Outcome)[];

export type Shim = {
  createRelay(options: ShimOptions, onEvents: (events: ShimEvents) => void): ShimRelay;
  closeRelay(relay: ShimRelay): void;
  openTree(relay: ShimRelay, path: string): number;
  closeTree(relay: ShimRelay, tree: number): number;
  /** Open for as long as the tree is, and closed with it. */
  treeDescriptor(relay: ShimRelay, tree: number): number;
  statGeneration(relay: ShimRelay, tree: number, path: string): FileIdentity | number;
  /** Of `names`, joined by slashes, how many were looked at. @param numbers is written to (looks.ts) */
  lookAtNames(relay: ShimRelay, tree: number, folder: string, names: string, numbers: Uint8Array): number;
  generationIsAt(relay: ShimRelay, generation: number, tree: number, path: string): number;
  /** At most `limit` bytes are served. -ENOMEM where it has to be mapped and the address space has no room. */
  openGeneration(relay: ShimRelay, tree: number, path: string, limit: number): OpenedFile | number;
  closeGeneration(relay: ShimRelay, generation: number): number;
  retireGeneration(relay: ShimRelay, generation: number): number;
  setCopying(relay: ShimRelay, generation: number, engines: readonly Engine[]): number;
  setVersion(
    relay: ShimRelay,
    generation: number,
    epoch: number,
    version: number,
  ): { readonly epoch: number; readonly version: number } | number;
  isSettled(relay: ShimRelay, generation: number, epoch: number, version: number): number;
  openFolder(relay: ShimRelay, tree: number, path: string): number;
  openFile(relay: ShimRelay, tree: number, path: string): number;
  lockTree(relay: ShimRelay, tree: number, path: string, byte: number, mode: LockMode): number;
  generationDescriptor(relay: ShimRelay, generation: number): number;
  hold(
    relay: ShimRelay,
    generation: number,
    epoch: number,
    version: number,
    engine: Engine,
    place: number,
    segments: readonly (number | string)[],
  ): number;
  place(relay: ShimRelay, generation: number, segments: readonly (number | string)[]): ShimClaim | number;
  endPlace(relay: ShimRelay, place: number): number;
  lease(
    relay: ShimRelay,
    generation: number,
    offset: number,
    length: number,
    needs: Needs,
    wait: boolean,
  ): ShimClaim | number;
  beginLease(relay: ShimRelay, lease: number, epoch: number): number;
  touchLease(relay: ShimRelay, lease: number): number;
  endLease(relay: ShimRelay, lease: number, generation: number): FileIdentity | number;
  press(relay: ShimRelay, breakSeconds: number): number;

  changeToStream(relay: ShimRelay, transmission: number): number;
  advance(relay: ShimRelay, transmission: number, bytes: number): number;
  release(relay: ShimRelay, transmission: number, outcome: Outcome): number;
  /** Of one generation (0: of all): up to `limit`, at most 1,000, with ids above `after`; `next` is 0 at the end. */
  references(
    relay: ShimRelay,
    generation: number,
    after: number,
    limit: number,
  ): { readonly items: Reference[]; readonly next: number } | number;
  adopt(
    relay: ShimRelay,
    fd: number,
    unaskable: boolean,
    node: number,
  ): { readonly id: number; readonly peerKind: PeerKind } | number;
  /** Has lanes accept the connections of a listening socket. */
  openDoor(relay: ShimRelay, fd: number): number;
  closeDoor(relay: ShimRelay, door: number): number;
  /** A connection that has arrived: a descriptor of it, the caller's. Without a kind, the relay has forgotten it. */
  takeConnection(relay: ShimRelay, connection: number): Taken | number;
  send(relay: ShimRelay, connection: number, transmission: number, head: string): number | ShimFailure;
  finish(relay: ShimRelay, connection: number): number;
  breakOff(relay: ShimRelay, connection: number): number;
  closeConnection(relay: ShimRelay, connection: number): number;
  /** Lanes answer for a region. -ESTALE when its generation is closed, -EINVAL for what they can't send. */
  publish(relay: ShimRelay, publication: Publication): number;
  /** They answer for none. */
  withdraw(relay: ShimRelay): void;
  /** They answer nothing until something is published again; what is published stays. */
  suspend(relay: ShimRelay): void;
  /** -ENOSPC when 1,024 are known. */
  allowHost(relay: ShimRelay, host: string): number;
  allowReader(relay: ShimRelay, authorization: string): number;
  /** They know no host and no reader. */
  forgetAllowed(relay: ShimRelay): void;
  /** How lanes answer; before a socket is given to them. */
  respond(relay: ShimRelay, responding: Responding): number;
  /** What Node shall read of a connection that a lane gives to it. */
  unread(relay: ShimRelay, connection: number): Buffer | number;
  /** The lane reads on. -EBUSY when the connection is Node's for good. */
  resume(relay: ShimRelay, connection: number): number;
  /** All connections become Node's for good. */
  handOverAll(relay: ShimRelay): void;
  counters(relay: ShimRelay): Counted;
  lanes(relay: ShimRelay): readonly Lane[] | number;
  /** This and the next ones give -ENOMEM itself where there is no memory for a promise. */
  fileWrite(fd: number, bytes: Uint8Array, offset: number): Promise<number> | number;
  fileSync(fd: number): Promise<number> | number;
  fileCopy(from: number, fromOffset: number, to: number, toOffset: number, length: number): Promise<number> | number;
  fileHasSmallFolios(fd: number, offset: number, length: number): Promise<number> | number;
  fileOverwrite(overwrite: Overwrite): Promise<ShimOverwritten | number> | number;
  fileCut(fd: number, size: number): Promise<number> | number;
  fileExtend(fd: number, size: number): Promise<number> | number;
  createMemfd(name: string): number;
  /** A memfd of so many bytes of huge pages, set aside; -ENOSPC where too few are free. */
  createHugeMemfd(name: string, bytes: number): number;
  nudge(): number;
  witnessFreshPages(path: string): number;
  /** On scratch pages: 1 when an engine sends the pages themselves, 0 when it copies, or a negated errno. */
  witnessCopyFree(scratch: ScratchKind, path: string, engine: Engine): number;
  /** 1 when the kernel says that it copied what MSG_ZEROCOPY sent to this machine, 0, or a negated errno. */
  witnessNotice(scratch: ScratchKind, path: string, engine: Engine): number;
  /** What holds scratch pages of this kind. */
  scratchBacking(scratch: ScratchKind, path: string): Backing | number;
  /** Calls that are refused here (seccomp), each with its errno, negated. It tries them, changing nothing. */
  refusedCalls(): Readonly<Record<string, number>>;
  /** Bytes of a mapping into a buffer; the caller holds the generation. -EFAULT where a load would be SIGBUS. */
  readMapped(relay: ShimRelay, generation: number, buffer: Uint8Array, offset: number): Promise<number> | number;
  /**
   * A log on a descriptor that may block: written by a thread of its own. `onWritten` gets the bytes that were written of
   * each piece and 0, or a negated errno. Gives one when no thread can be had.
   */
  openLog(fd: number, onWritten: (bytes: number, errno: number) => void): ShimLog | number;
  /** -EBUSY until the piece before is told of. */
  writeLog(log: ShimLog, bytes: Uint8Array): number;
  /** Goes on in the file behind a descriptor, which is the log's from here on; a write under way ends where it began. */
  reopenLog(log: ShimLog, fd: number): void;
  /** Lines of lanes that were lost so far, and whether nothing waits to be written. */
  logState(log: ShimLog): { readonly lost: number; readonly isIdle: boolean };
};

/** A place in the queue for pages; one that is not granted yet is by an event. */
export type ShimClaim = { readonly id: number; readonly granted: boolean };

/** How an overwrite ended. `errno` is negated, or 0; then `undone` says whether the old bytes are there. */
export type ShimOverwritten = { readonly errno: number; readonly undone: boolean };

/** A connection that Node has taken, and where its client is. */
export type Taken = {
  readonly fd: number;
  readonly address: string;
  readonly port: number;
  readonly peerKind?: PeerKind;
};

/** A send that failed at once; `errno` is negated. */
export type ShimFailure = { readonly errno: number; readonly bytes: number; readonly outcome: Outcome };

/** The shim, or why there is none. */
export type ShimVerdict = { readonly shim: Shim } | { readonly missing: string };

/** Loads the shim. `PAGERELAY_PORTABLE=1` leaves it out. */
export function loadShim(): ShimVerdict {
  if (process.env.PAGERELAY_PORTABLE === '1') return { missing: 'PAGERELAY_PORTABLE is set' };
  try {
    return { shim: createRequire(import.meta.url)('../../native-shim/build/Release/pagerelay.node') as Shim };
  } catch (error) {
    return { missing: error instanceof Error ? (error.message.split('\n')[0] ?? error.message) : String(error) };
  }
}

// libuv, whose names Node gives, does not know them all: ESTALE and EDQUOT are not among them.
const errnoNames = new Map(
  Object.entries(constants.errno)
    .reverse() // Where two names are one number, the first is the usual one.
    .map(([name, errno]) => [-errno, name]),
);

/** The name of a negated errno: `'ENOENT'` for -2. */
export function errnoName(result: number): string {
  return errnoNames.get(result) ?? getSystemErrorName(result);
}
