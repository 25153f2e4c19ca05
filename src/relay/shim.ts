/**
 * The one module that loads the native shim. Results below zero are errno, negated; the headers in native-shim/core have the
 * contracts.
 *
 * @module
 */
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type { Limits } from '../limits/limits.ts';
import type { Counted } from './counters.ts';
import type { Means } from './means.ts';
import type { Publication, PublicationAhead, Responding } from './publication.ts';
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

/**
 * The limits that the shim enforces, and its own: descriptors that connections and open files may have together, and 1
 * while memory is short.
 */
export type ShimLimits = Limits & { readonly mostDescriptors: number; readonly shortOfMemory: number };

/** What is opened; what was seen of its kind is added to it. */
export type OpenedFile = Omit<Generation, 'seen'>;

/** Where scratch pages come from: a nameless file in a folder, a memfd, one of huge pages, an unused devdax device. */
export type ScratchKind = 'folder' | 'memfd' | 'hugetlb' | 'device';

/** kind, id, outcome, errno and bytes of each event, one after the other. */
export type ShimEvents = readonly (number | Outcome)[];

/** What is done to a relay by numbers alone; each gives a number, or a negated errno. */
export type Acts = {
  closeTree: [tree: number];
  /** Open for as long as the tree is, and closed with it. */
  treeDescriptor: [tree: number];
  closeGeneration: [generation: number];
  retireGeneration: [generation: number];
  generationDescriptor: [generation: number];
  /** The engines that copy from there, by bit. */
  setCopying: [generation: number, engines: number];
  isSettled: [generation: number, epoch: number, version: number];
  advance: [transmission: number, bytes: number];
  changeToStream: [transmission: number];
  /** Gives the version that its writes will be seen as. */
  beginLease: [lease: number, epoch: number];
  touchLease: [lease: number];
  /** A lease that has not begun waits for more, in its old place: 1 when it has that, 0 when an event will tell. */
  waitLease: [lease: number, needs: number];
  /** The file of a generation, if that is not 0, was changed by nobody else meanwhile. */
  endLease: [lease: number, isOurs: number];
  endPlace: [place: number];
  /** Looks at what is in the way of waiting writers, and breaks off what they have waited for so long. */
  press: [breakMilliseconds: number];
  nudge: [];
  /**
   * Has lanes accept the connections of a listening socket, those of one NUMA node (`nodes` is that and 1) or, by 0, all;
   * gives the door. `kind`: 1 where it may be asked by any Host, and 2 where trusted proxies begin with a header.
   */
  openDoor: [fd: number, number: number, kind: number, nodes: number];
  /** The descriptor that it listens by, which stays the door's. */
  doorDescriptor: [door: number];
  closeDoor: [door: number];
  finish: [connection: number];
  breakOff: [connection: number];
  closeConnection: [connection: number];
  /** The same; another process has its socket. */
  leaveConnection: [connection: number];
  /** One that was adopted comes from another process: `resume` has its lane read it. */
  admitConnection: [connection: number, number: number, anyHost: number];
  /** The lane reads on. -EBUSY when the connection is Node's for good. */
  resume: [connection: number];
  /** Whether the client of a connection that a lane has accepted may ask once more, which counts then: 1 or 0. */
  askAsClient: [connection: number];
  /** Lanes answer for no region. */
  withdraw: [];
  /** They answer nothing until something is published again; what is published stays. */
  suspend: [];
  /** Whether nothing is held, and they have answered nothing since this was asked before. */
  isIdle: [];
  /** They know no host and no reader. */
  forgetAllowed: [];
  /** All connections become Node's for good. */
  handOverAll: [];
};

/** What is done to a file, by what besides its descriptor. */
export type FileJobs = {
  write: [offset: number, bytes: Uint8Array];
  sync: [];
  cut: [size: number];
  extend: [size: number];
  hasSmallFolios: [offset: number, length: number];
  fitsDirect: [offset: number, length: number];
  copy: [fromOffset: number, to: number, toOffset: number, length: number];
};

export type Shim = {
  createRelay(options: ShimOptions, onEvents: (events: ShimEvents) => void): ShimRelay;
  closeRelay(relay: ShimRelay): void;
  /** From now on these hold: for clients from elsewhere, and for those of this machine. */
  limit(relay: ShimRelay, elsewhere: ShimLimits, here: ShimLimits): void;
  act<Name extends keyof Acts>(relay: ShimRelay, name: Name, ...numbers: Acts[Name]): number;
  /** A tree; or in one, which is 0 otherwise, a descriptor of a folder, or of a file to be written. */
  open(relay: ShimRelay, tree: number, path: string, kind: 'tree' | 'folder' | 'file'): number;
  /** At most `limit` bytes are served. -ENOMEM where it has to be mapped and the address space has no room. */
  open(relay: ShimRelay, tree: number, path: string, kind: 'generation', limit: number): OpenedFile | number;
  /** What a path names; or whether that is still this generation: 1 or 0. */
  statGeneration(relay: ShimRelay, tree: number, path: string, generation: 0): FileIdentity | number;
  statGeneration(relay: ShimRelay, tree: number, path: string, generation: number): number;
  /** Of `names`, joined by slashes, how many were looked at. @param numbers is written to (looks.ts) */
  lookAtNames(relay: ShimRelay, tree: number, folder: string, names: string, numbers: Float64Array): number;
  setVersion(
    relay: ShimRelay,
    generation: number,
    epoch: number,
    version: number,
  ): { readonly epoch: number; readonly version: number } | number;
  lockTree(relay: ShimRelay, tree: number, path: string, byte: number, mode: LockMode): number;
  hold(
    relay: ShimRelay,
    generation: number,
    epoch: number,
    version: number,
    engine: Engine,
    place: number,
    segments: readonly (number | string)[],
    inPlace?: boolean,
  ): number;
  place(relay: ShimRelay, generation: number, segments: readonly (number | string)[]): ShimClaim | number;
  lease(
    relay: ShimRelay,
    generation: number,
    offset: number,
    length: number,
    needs: Needs,
    wait: boolean,
  ): ShimClaim | number;
  /** Has those who have not sent bytes of a lease's pages go on with copies. Neither it nor the relay may end before. */
  keepUnsent(relay: ShimRelay, lease: number): Promise<number> | number;
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
  /** A connection that has arrived: a descriptor of it, the caller's. Without a kind, the relay has forgotten it. */
  takeConnection(relay: ShimRelay, connection: number): Taken | number;
  send(relay: ShimRelay, connection: number, transmission: number, head: string): number | ShimFailure;
  /**
   * Lanes answer for a region. -ESTALE when its generation is closed, -EINVAL for what they can't send, -ENOSPC when no
   * more may be published ahead.
   */
  publish(relay: ShimRelay, publication: Publication | PublicationAhead): number;
  /**
   * What lanes have opened, and nobody was told of yet: name, entity-tag and the line of Content-Type of each file, one
   * after the other; none when all is told. @param numbers is written to (opened.ts)
   */
  takeOpened(relay: ShimRelay, numbers: Float64Array): readonly string[];
  /**
   * Requests by a Host, at doors of the loopback or at others (`anyHost`), or with an Authorization, may be answered:
   * -ENOSPC when 1,024 are known. Or a network of proxies is trusted, before a socket is given to lanes. Or the region at this
   * path is not what was published ahead any more.
   */
  tell(relay: ShimRelay, what: 'host' | 'anyHost' | 'reader' | 'proxy' | 'changed', text: string): number;
  /** How lanes answer; before a socket is given to them. */
  respond(relay: ShimRelay, responding: Responding): number;
  /** What Node shall read of a connection that a lane gives to it. */
  unread(relay: ShimRelay, connection: number): Buffer | number;
  counters(relay: ShimRelay): Counted & { readonly lanes: readonly Lane[] };
  /** This and the next one give -ENOMEM itself where there is no memory for a promise. */
  onFile<Name extends keyof FileJobs>(name: Name, fd: number, ...by: FileJobs[Name]): Promise<number> | number;
  /** Of one file. */
  fileOverwrite(overwrites: readonly Overwrite[]): Promise<readonly ShimOverwritten[] | number> | number;
  /** The path of a listening socket that was inherited, empty where it has none; -EINVAL for what is no such socket. */
  pathOfListener(fd: number): string | number;
  /** Listens for TCP by one network device; gives the descriptor. */
  listenBy(device: string, address: string, port: number): number;
  /** Of so many bytes of huge pages, set aside, where that is not 0; -ENOSPC where too few are free. */
  createMemfd(name: string, hugeBytes: number): number;
  /** Sends text to a unix socket for datagrams, at a path or, behind `@`, by an abstract name. */
  notify(socket: string, text: string): number;
  /** Calls that are refused here (seccomp), each with its errno, negated. It tries them, changing nothing. */
  witness(question: 'refused'): Readonly<Record<string, number>>;
  /** Whether these means leave pages in flight as they are, of a new file at this path: 1 or 0. */
  witness(question: Exclude<Means, 'wait'>, scratch: 'folder', path: string): number;
  /** What holds scratch pages of this kind. */
  witness(question: 'backing', scratch: ScratchKind, path: string): Backing | number;
  /**
   * On scratch pages: 1 when an engine sends the pages themselves, 0 when it copies; or 1 when the kernel says that it
   * copied what MSG_ZEROCOPY sent to this machine, 0 when it does not.
   */
  witness(question: 'copyFree' | 'notice', scratch: ScratchKind, path: string, engine: Engine): number;
  /** Bytes of a mapping into a buffer; the caller holds the generation. -EFAULT where a load would be SIGBUS. */
  readMapped(relay: ShimRelay, generation: number, buffer: Uint8Array, offset: number): Promise<number> | number;
  /**
   * A log on a descriptor that may block: written by a thread of its own. `onWritten` gets the bytes that were written of
   * each piece and 0, or a negated errno. Gives one when no thread can be had.
   */
  openLog(fd: number, onWritten: (bytes: number, errno: number) => void): ShimLog | number;
  /** Has a log go on in the file behind a descriptor, which is the log's from here on; a write under way ends where it began. */
  openLog(fd: number, log: ShimLog): ShimLog;
  /** -EBUSY until the piece before is told of. */
  writeLog(log: ShimLog, bytes: Uint8Array): number;
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
  /** The number of the door that it came by. */
  readonly door: number;
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

// What neither of them knows (Linux).
for (const [name, errno] of Object.entries({ EUSERS: 87, ETOOMANYREFS: 109 })) errnoNames.set(-errno, name);

/** The name of a negated errno: `'ENOENT'` for -2. */
export function errnoName(result: number): string {
  return errnoNames.get(result) ?? getSystemErrorName(result);
}
