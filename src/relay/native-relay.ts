import { constants } from 'node:os';
import { isAbsolute } from 'node:path';
import { inMilliseconds, type LimitsByPlace, unlimited } from '../limits/limits.ts';
import { DurationCounts } from './durations.ts';
import type { Segment } from './extent.ts';
import { missing } from './file-identity.ts';
import { Files } from './files.ts';
import { Looks, mostLooks } from './looks.ts';
import { type MeansOfBacking, meansOn } from './means.ts';
import { OpenedFiles } from './opened.ts';
import { mostItems, type Page } from './page.ts';
import { Press } from './press.ts';
import {
  type DoorOptions,
  type Publication,
  type PublicationAhead,
  type Responding,
  type Return,
  returns,
} from './publication.ts';
import { Reads } from './reads.ts';
import { type RefusedCalls, tryCalls } from './refused.ts';
import {
  type Claim,
  type Counters,
  type Engine,
  type FileIdentity,
  type Generation,
  type JudgedContent,
  type Lane,
  type LockMode,
  type Needs,
  type Opened,
  type Outcome,
  type PeerKind,
  type Reference,
  type ReferencesAsked,
  type Relay,
  type Sent,
  SystemError,
  type TransmissionId,
  type Tree,
} from './relay.ts';
import { reopenDescriptor } from './reopen.ts';
import {
  errnoName,
  type Shim,
  type ShimClaim,
  type ShimEvents,
  type ShimLimits,
  type ShimOptions,
  type ShimRelay,
  type Taken,
} from './shim.ts';
import { copyingIn, type Seen, Witness } from './witness.ts';

/** A connection's listeners: what its lane has to say between transmissions. */
export type ConnectionListener = {
  /** The FIN that was asked for may go out. */
  drained(): void;
  /** No progress for the longest time that pages may be held: the connection is to be broken off. */
  stalled(): void;
  /** Its lane, which has read it, gives it to Node. */
  returned(how: Return): void;
};

/** A connection that a lane has accepted, and gives to Node. */
export type Arrival = { readonly id: number; readonly how: Return };

// enum pr_event_kind
const eventKinds = {
  accepted: 0,
  broken: 1,
  drained: 2,
  stalled: 3,
  granted: 4,
  unwanted: 5,
  gone: 6,
  returned: 7,
  arrived: 8,
  crowded: 9,
  opened: 10,
} as const;
const fieldsOfEvent = 5;

// enum pr_needs
const needsNumbers: Readonly<Record<Needs, number>> = { done: 0, accepted: 1, nothing: 2 };

const noLimit = Number.MAX_SAFE_INTEGER;

/** A relay over the native shim. It keeps the listeners of what lanes carry, and no truth about holds. */
export class NativeRelay implements Relay {
  readonly portableBecause = undefined;
  /** Work on files, off the event loop. */
  readonly files: Files;
  readonly witness: Witness;
  /** Calls that a filter refuses to this process. */
  readonly refused: RefusedCalls;
  readonly #shim: Shim;
  readonly #relay: ShimRelay;
  readonly #ends = new Map<TransmissionId, (end: Sent) => void>();
  readonly #listeners = new Map<number, ConnectionListener>();
  readonly #claims = new Map<number, (granted: boolean) => void>();
  readonly #waits = { writer: new DurationCounts(), reader: new DurationCounts() };
  readonly #unwanted = new Map<TransmissionId, () => void>();
  readonly #retired = new Map<number, () => void>();
  readonly #reads = new Reads();
  readonly #looks = new Looks();
  readonly #opened = new OpenedFiles();
  readonly #press: Press;
  readonly #limits: LimitsByPlace;
  #onArrival: ((arrival: Arrival) => void) | undefined;
  #onCrowd: ((isMakingRoom: boolean) => void) | undefined;
  #isSuspended = false;
  /** Lanes have opened files: they are to be taken (`takeOpened`), all of them. */
  onOpened: (() => void) | undefined;
  /** Descriptors of open trees, by their ids. */
  #closed = false;

  /**
   * @param breakHolds seconds that a writer waits for a reference before it is broken off
   * @param claims for tests: what the witness says, whatever it sees
   */
  constructor(shim: Shim, options: ShimOptions, breakHolds: number, limits: LimitsByPlace = unlimited) {
    this.#shim = shim;
    this.#relay = shim.createRelay(options, (events) => this.#deliver(events));
    this.#press = new Press(() => shim.act(this.#relay, 'press', Math.ceil(breakHolds * 1000)));
    this.#limits = limits;
    this.limit({});
    this.files = new Files(shim);
    this.witness = new Witness(shim);
    this.refused = tryCalls(shim);
  }

  /** From now on the limits that it was opened with hold, but for these. */
  limit(others: Partial<ShimLimits>): void {
    const { elsewhere, here } = this.#limits;
    const all = { mostDescriptors: 0, ...others };
    if (!this.#closed)
      this.#shim.limit(this.#relay, { ...inMilliseconds(elsewhere), ...all }, { ...inMilliseconds(here), ...all });
  }

  openTree(path: string): Tree {
    // Absolute links into the tree are known by it (native-shim/core/pages/links.h).
    const absolute = isAbsolute(path) ? path : `${process.cwd()}/${path}`;
    const id = checked(this.#shim.open(this.#relay, 0, absolute, 'tree'), path);
    const fd = checked(this.#shim.act(this.#relay, 'treeDescriptor', id), path);
    return { id, path, root: `/proc/self/fd/${fd}` };
  }

  closeTree({ id }: Tree): void {
    if (!this.#closed) this.#shim.act(this.#relay, 'closeTree', id);
  }

  identify(tree: Tree | undefined, path: string): FileIdentity {
    return checkedObject(this.#shim.statGeneration(this.#relay, tree?.id ?? 0, path, 0), path);
  }

  identifySome(tree: Tree, folder: string, names: readonly string[]): (FileIdentity | number)[] {
    const joined = names.slice(0, mostLooks).join('/');
    return this.#looks.take(
      checked(this.#shim.lookAtNames(this.#relay, tree.id, folder, joined, this.#looks.numbers), folder),
    );
  }

  isAt(generation: Generation, tree: Tree | undefined, path: string): boolean {
    return checked(this.#shim.statGeneration(this.#relay, tree?.id ?? 0, path, generation.id), path) === 1;
  }

  openGeneration(tree: Tree | undefined, path: string, limit = noLimit): Generation {
    const opened = this.#shim.open(this.#relay, tree?.id ?? 0, path, 'generation', limit);
    const generation = checkedObject(opened, path);
    const seen = this.witness.of(generation, tree, path);
    this.#shim.act(this.#relay, 'setCopying', generation.id, copyingIn(seen));
    return { ...generation, seen };
  }

  openAgain(generation: Pick<Generation, 'id'>): Generation {
    return this.openGeneration(undefined, this.#descriptorOf(generation));
  }

  isUnchanged(generation: Generation): boolean {
    return this.isAt(generation, undefined, this.#descriptorOf(generation));
  }

  /** The file of a generation that is open, or closed and held; undefined when it is neither any more. */
  fileOf(generation: Pick<Generation, 'id'>): FileIdentity | undefined {
    if (!this.isKnown(generation.id)) return undefined;
    const file = this.#shim.statGeneration(this.#relay, 0, this.#descriptorOf(generation), 0);
    return typeof file === 'number' ? undefined : file;
  }

  // Leads to the file itself, whatever names that has.
  #descriptorOf({ id }: Pick<Generation, 'id'>): string {
    return `/proc/self/fd/${checked(this.#shim.act(this.#relay, 'generationDescriptor', id), 'descriptor')}`;
  }

  closeGeneration(generation: Generation): void {
    this.#shim.act(this.#relay, 'closeGeneration', generation.id);
  }

  takeOpened(): readonly Opened[] {
    const texts = this.#closed ? [] : this.#shim.takeOpened(this.#relay, this.#opened.numbers);
    return this.#opened.take(texts, (file, path) => this.witness.of(file, undefined, path));
  }

  /** Closes a generation whose file has lost its name. Resolves when nothing refers to any page of it. */
  retireGeneration(generation: Generation): Promise<void> {
    const result = this.#shim.act(this.#relay, 'retireGeneration', generation.id);
    if (result < 0) return Promise.resolve();
    return new Promise((resolve) => this.#retired.set(generation.id, resolve));
  }

  judge(generation: Generation, epoch: number, version: number): JudgedContent {
    const known = checkedObject(this.#shim.setVersion(this.#relay, generation.id, epoch, version), 'judge');
    return { generation, ...known };
  }

  isSettled({ generation, epoch, version }: JudgedContent): boolean {
    return this.#shim.act(this.#relay, 'isSettled', generation.id, epoch, version) === 1;
  }

  hold(
    judged: JudgedContent,
    engine: Engine,
    segments: readonly Segment[],
    place?: Claim,
    inPlace = false,
  ): TransmissionId | 'stale' | 'blocked' {
    const { generation, epoch, version } = judged;
    const [id, flat] = [place?.id ?? 0, flatten(segments)];
    const result = this.#shim.hold(this.#relay, generation.id, epoch, version, engine, id, flat, inPlace);
    if (result >= 0) return result;
    const code = errnoName(result);
    if (code === 'EAGAIN') return 'blocked';
    // EBADF: closed, and its last reference gone, since it was judged.
    if (code === 'ESTALE' || code === 'EBADF' || (inPlace && missing.has(code))) return 'stale';
    throw new SystemError(code, 'hold');
  }

  place(generation: Generation, segments: readonly Segment[]): Claim {
    const claim = this.#shim.place(this.#relay, generation.id, flatten(segments));
    return this.#claim(checkedObject(claim, 'place'), 'reader');
  }

  endPlace(place: Claim): void {
    this.#settleClaim(place.id, false);
    if (!this.#closed) this.#shim.act(this.#relay, 'endPlace', place.id);
  }

  onUnwanted(transmission: TransmissionId, callback: () => void): void {
    this.#unwanted.set(transmission, callback);
  }

  /**
   * Asks for a lease on the pages of `length` bytes from `offset`; Infinity for all that follow. It ends by `endLease`,
   * also while it waits.
   *
   * @throws SystemError: ESTALE, EBADF when the generation is closed; EBUSY when pages are quarantined; EAGAIN when it
   * can't be had at once and `wait` is false
   */
  lease(generation: Generation, offset: number, length: number, needs: Needs, wait = true): Claim {
    const bytes = length === Number.POSITIVE_INFINITY ? noLimit : length;
    const claim = this.#shim.lease(this.#relay, generation.id, offset, bytes, needs, wait);
    return this.#asked(checkedObject(claim, 'lease'));
  }

  /**
   * Has readers who have not been sent bytes of a lease's pages yet go on with a copy of the old ones, where that can be had.
   * It needs `nothing` yet, and must not end before this resolves.
   */
  async keepUnsent(lease: Claim): Promise<void> {
    if (this.#closed) return; // `waitFor` says so.
    await this.#reads.follow(Promise.resolve(this.#shim.keepUnsent(this.#relay, lease.id)));
  }

  /**
   * Has a lease that needed `nothing` wait for what it does need, but for bytes that are kept.
   *
   * @throws SystemError: EBUSY when pages are quarantined, EUSERS when too many wait; the lease is gone then
   */
  waitFor(lease: Claim, needs: Needs): Claim {
    if (this.#closed) throw new SystemError('EBADF', 'waitFor');
    const result = this.#shim.act(this.#relay, 'waitLease', lease.id, needsNumbers[needs]);
    return this.#asked({ id: lease.id, granted: checked(result, 'waitFor') === 1 });
  }

  /** Bytes are about to change, or may have: the version moves. Gives the new one. */
  beginLease(lease: Claim, epoch: number): number {
    return checked(this.#shim.act(this.#relay, 'beginLease', lease.id, epoch), 'beginLease');
  }

  /** The file's size or time is about to change, but no byte that is served: the version stays. */
  touchLease(lease: Claim): void {
    checked(this.#shim.act(this.#relay, 'touchLease', lease.id), 'touchLease');
  }

  /** Ends a lease. With `isOurs`, what was done to the file under it is not taken for a change by others. */
  endLease(lease: Claim, isOurs = false): void {
    this.#settleClaim(lease.id, false);
    if (this.#closed) return;
    this.#shim.act(this.#relay, 'endLease', lease.id, isOurs ? 1 : 0);
  }

  /** A folder inside the tree: a descriptor for paths relative to it; the caller closes it. @throws SystemError */
  openFolder(tree: Tree, path: string): number {
    return checked(this.#shim.open(this.#relay, tree.id, path, 'folder'), path);
  }

  /** A regular file inside the tree, to be written in place; the caller closes it. @throws SystemError */
  openFile(tree: Tree, path: string): number {
    return checked(this.#shim.open(this.#relay, tree.id, path, 'file'), path);
  }

  /**
   * Locks a byte of a file in the tree against other relays, of this process or another. Whether it could be had.
   *
   * @throws SystemError
   */
  lockTree(tree: Tree, path: string, byte: number, mode: LockMode): boolean {
    if (this.#closed) return false;
    const result = this.#shim.lockTree(this.#relay, tree.id, path, byte, mode);
    if (result < 0 && errnoName(result) === 'EAGAIN') return false;
    checked(result, path);
    return true;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Makes every CPU let go of buffers that were read. */
  nudge(): void {
    if (!this.#closed) this.#shim.act(this.#relay, 'nudge');
  }

  /** The means that new files of a folder are overwritten by; undefined where none can be made. @param scratch as of `meansOn` */
  meansIn(folder: string, scratch: string): MeansOfBacking | undefined {
    const backing = this.#shim.witness('backing', 'folder', folder);
    return typeof backing === 'number' ? undefined : meansOn(this.#shim, backing, scratch);
  }

  changeToStream(transmission: TransmissionId): void {
    checked(this.#shim.act(this.#relay, 'changeToStream', transmission), 'changeToStream');
  }

  async read(generation: Generation, buffer: Uint8Array, offset: number): Promise<number> {
    if (generation.backing === 'devdax') return this.#readMapped(generation, buffer, offset);
    const fd = checked(this.#shim.act(this.#relay, 'generationDescriptor', generation.id), 'descriptor');
    return this.#reads.read(fd, buffer, offset);
  }

  reopen(generation: Generation): number | undefined {
    if (generation.backing === 'devdax') return undefined;
    return reopenDescriptor(this.#shim.act(this.#relay, 'generationDescriptor', generation.id));
  }

  advance(transmission: TransmissionId, bytes: number): void {
    checked(this.#shim.act(this.#relay, 'advance', transmission, bytes), 'advance');
  }

  release(transmission: TransmissionId, outcome: Outcome): void {
    this.#unwanted.delete(transmission);
    if (!this.#closed) this.#shim.release(this.#relay, transmission, outcome);
  }

  references({ generation = 0, after = 0, limit = mostItems }: ReferencesAsked = {}): Page<Reference, TransmissionId> {
    const page = checkedObject(this.#shim.references(this.#relay, generation, after, limit), 'references');
    return { items: page.items, next: page.next || undefined };
  }

  isKnown(generation: Generation['id']): boolean {
    return this.#shim.act(this.#relay, 'generationDescriptor', generation) >= 0;
  }

  seen(): readonly Seen[] {
    return this.witness.list();
  }

  seenOn(device: number): Seen | undefined {
    return this.witness.onDevice(device);
  }

  counters(): Counters {
    const { writer, reader } = this.#waits;
    const { lanes, ...counted } = this.#shim.counters(this.#relay);
    return { ...counted, waits: { writer: writer.counted, reader: reader.counted } };
  }

  lanes(): readonly Lane[] {
    return this.#shim.counters(this.#relay).lanes;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#reads.ended();
    this.#shim.closeRelay(this.#relay);
    for (const resolve of this.#ends.values()) resolve({ outcome: 'cancelled', code: 'ECANCELED', bytes: 0 });
    this.#ends.clear();
    for (const id of [...this.#claims.keys()]) this.#settleClaim(id, false);
    for (const resolve of this.#retired.values()) resolve();
    this.#retired.clear();
  }

  /** A new memfd, writable and sealable; the caller closes it. @throws SystemError */
  createMemfd(name: string): number {
    return checked(this.#shim.createMemfd(name, 0), name);
  }

  /**
   * Takes a second descriptor of a TCP socket and finds out who its peer is.
   *
   * @throws SystemError; EPROTOTYPE when it is no TCP connection
   */
  adopt(fd: number, unaskable: boolean, node: number): { readonly id: number; readonly peerKind: PeerKind } {
    return checkedObject(this.#shim.adopt(this.#relay, fd, unaskable, node), 'adopt');
  }

  /**
   * Has lanes accept the connections of a listening socket. They answer what they can; `onArrival` is told of the others.
   *
   * @param onCrowd is told when a new connection waits for room, and whether lanes close an idle one for it
   * @returns undefined where they can't: there is one such socket already, or lanes sit on several NUMA nodes
   */
  respond(
    responding: Responding,
    onArrival: (arrival: Arrival) => void,
    onCrowd: (isMakingRoom: boolean) => void,
  ): boolean {
    if (this.#onArrival || this.#shim.respond(this.#relay, responding) < 0) return false;
    this.#onArrival = onArrival;
    this.#onCrowd = onCrowd;
    return true;
  }

  /**
   * Has lanes accept the connections of a listening socket, after `respond`. Gives what it is closed by; undefined where
   * they can't.
   */
  openListener(fd: number, { number, anyHost, node }: DoorOptions): number | undefined {
    const door = this.#shim.act(
      this.#relay,
      'openDoor',
      fd,
      number,
      Number(anyHost),
      node === undefined ? 0 : node + 1,
    );
    return door < 0 ? undefined : door;
  }

  /** The path of a listening stream socket, empty where it has none. @throws SystemError EINVAL for any other */
  pathOfListener(fd: number): string {
    const path = this.#shim.pathOfListener(fd);
    if (typeof path === 'number') throw new SystemError(errnoName(path), 'listen');
    return path;
  }

  /** A socket that listens for TCP by one network device alone; the caller closes it. @throws SystemError */
  listenBy(device: string, address: string, port: number): number {
    return checked(this.#shim.listenBy(device, address, port), `listen by ${device} at ${address}:${port}`);
  }

  /** A descriptor that it listens by; undefined where it is closed. */
  listenerDescriptor(listener: number): number | undefined {
    const fd = this.#closed ? -1 : this.#shim.act(this.#relay, 'doorDescriptor', listener);
    return fd < 0 ? undefined : fd;
  }

  /** Nobody can connect any more, once other descriptors of the socket are closed too. */
  closeListener(listener: number): void {
    if (!this.#closed) this.#shim.act(this.#relay, 'closeDoor', listener);
  }

  /**
   * A descriptor of a connection that has arrived, for Node. Without `peerKind` the relay has forgotten it, for
   * descriptors are short.
   *
   * @returns undefined when it is gone
   */
  take(connection: number): Taken | undefined {
    const taken = this.#closed ? undefined : this.#shim.takeConnection(this.#relay, connection);
    return typeof taken === 'object' ? taken : undefined;
  }

  /** Whether the client of a connection may ask once more, which counts then. What is gone asks for nothing. */
  mayAsk(connection: number): boolean {
    return this.#closed || this.#shim.act(this.#relay, 'askAsClient', connection) !== 0;
  }

  /** Tells of a connection as of one that was adopted. */
  listen(connection: number, listener: ConnectionListener): void {
    this.#listeners.set(connection, listener);
  }

  /**
   * Sends a head and a held transmission of `length` bytes: how it ended, at once or when a lane is through. Never
   * rejects.
   */
  send(connection: number, transmission: TransmissionId, head: string, length: number): Sent | Promise<Sent> {
    this.#unwanted.delete(transmission);
    const result = this.#shim.send(this.#relay, connection, transmission, head);
    if (result === 1) return { outcome: 'complete', code: undefined, bytes: length };
    if (typeof result === 'number') return new Promise((resolve) => this.#ends.set(transmission, resolve));
    this.release(transmission, 'failed'); // Finds it only where it could not be sent on this connection at all.
    return { outcome: result.outcome, code: errnoName(result.errno), bytes: result.bytes };
  }

  /** Has lanes answer for a region. Whether they do: not for what was closed meanwhile. */
  publish(publication: Publication): boolean {
    const isPublished = !this.#closed && this.#shim.publish(this.#relay, publication) === 0;
    if (isPublished) this.#isSuspended = false;
    return isPublished;
  }

  /**
   * The same for one whose file is not open. Nothing that was published with a generation gives way to it.
   *
   * @returns false when no more are published so
   */
  publishAhead(publication: PublicationAhead): boolean {
    const result = this.#closed ? -constants.errno.ENOSPC : this.#shim.publish(this.#relay, publication);
    return result !== -constants.errno.ENOSPC;
  }

  /** Has lanes answer requests with this Host, which was judged; undoes it by `forgetAllowed`. At most 1,024. */
  allowHost(host: string, anyHost: boolean): void {
    if (!this.#closed) this.#shim.tell(this.#relay, anyHost ? 'anyHost' : 'host', host);
  }

  /** The same with this Authorization, where not everybody's requests are answered. */
  allowReader(authorization: string): void {
    if (!this.#closed) this.#shim.tell(this.#relay, 'reader', authorization);
  }

  /** Has lanes answer by no host and to nobody, until it is said again. */
  forgetAllowed(): void {
    if (!this.#closed) this.#shim.act(this.#relay, 'forgetAllowed');
  }

  /** Has lanes answer nothing until something is published again; what is published stays. */
  suspend(): void {
    this.#isSuspended = true;
    if (!this.#closed) this.#shim.act(this.#relay, 'suspend');
  }

  /** Whether they answer nothing since then. */
  get isSuspended(): boolean {
    return this.#isSuspended;
  }

  /**
   * Whether nobody has pages, and lanes have answered nothing since this was asked before. After `suspend` nobody takes any
   * either, until the caller publishes or holds something.
   */
  isIdle(): boolean {
    return !this.#closed && this.#shim.act(this.#relay, 'isIdle') !== 0;
  }

  /** Has lanes answer for nothing until it is published again. */
  withdraw(): void {
    if (!this.#closed) this.#shim.act(this.#relay, 'withdraw');
  }

  /**
   * The region at this path is changed. Lanes go on with it where it is open, at the version that it is at, and open it no
   * more as it was seen before.
   */
  changed(path: string): void {
    if (!this.#closed) this.#shim.tell(this.#relay, 'changed', path);
  }

  /** What Node shall read of a connection that its lane gives to it. @throws SystemError */
  unread(connection: number): Buffer {
    const bytes = this.#shim.unread(this.#relay, connection);
    if (typeof bytes === 'number') throw new SystemError(errnoName(bytes), 'unread');
    return bytes;
  }

  /** Has a lane read on what it has fed to Node. Whether it does. */
  resume(connection: number): boolean {
    return !this.#closed && this.#shim.act(this.#relay, 'resume', connection) === 0;
  }

  /** Has lanes answer no more: every connection is Node's, after the response that it is in. */
  handOverAll(): void {
    if (!this.#closed) this.#shim.act(this.#relay, 'handOverAll');
  }

  /** Whether our FIN may go out now; if not, `drained` will tell. */
  mayFinish(connection: number): boolean {
    return this.#closed || this.#shim.act(this.#relay, 'finish', connection) !== 0;
  }

  breakOff(connection: number): void {
    if (!this.#closed) this.#shim.act(this.#relay, 'breakOff', connection);
  }

  /** Node's descriptor is closed; the relay's closes when nothing of the connection is undone. */
  closeConnection(connection: number): void {
    this.#listeners.delete(connection);
    if (!this.#closed) this.#shim.act(this.#relay, 'closeConnection', connection);
  }

  /** The same, where another process has its socket: what still comes is for that one. */
  leaveConnection(connection: number): void {
    this.#listeners.delete(connection);
    if (!this.#closed) this.#shim.act(this.#relay, 'leaveConnection', connection);
  }

  /**
   * An adopted connection comes from another process, which has accepted it at such a listener, between two requests:
   * `resume` has its lane read it.
   */
  admitConnection(connection: number, { number, anyHost }: Pick<DoorOptions, 'number' | 'anyHost'>): void {
    checked(this.#shim.act(this.#relay, 'admitConnection', connection, number, anyHost ? 1 : 0), 'admitConnection');
  }

  // read(2) knows nothing of such a device.
  async #readMapped(generation: Generation, buffer: Uint8Array, offset: number): Promise<number> {
    const reading = this.#shim.readMapped(this.#relay, generation.id, buffer, offset);
    return checked(await this.#reads.follow(Promise.resolve(reading)), 'read');
  }

  #deliver(events: ShimEvents): void {
    for (let at = 0; at < events.length; at += fieldsOfEvent) {
      const event = events.slice(at, at + fieldsOfEvent) as [number, number, Outcome, number, number];
      const [kind, id, outcome, errno, bytes] = event;
      if (kind === eventKinds.drained) this.#listeners.get(id)?.drained();
      else if (kind === eventKinds.stalled) this.#listeners.get(id)?.stalled();
      else if (kind === eventKinds.granted) this.#settleClaim(id, errno === 0);
      else if (kind === eventKinds.unwanted) this.#unwanted.get(id)?.();
      else if (kind === eventKinds.gone) this.#gone(id);
      else if (kind === eventKinds.opened) this.onOpened?.();
      else if (kind === eventKinds.returned) this.#listeners.get(id)?.returned(returns[bytes] ?? 'closed');
      else if (kind === eventKinds.arrived) this.#onArrival?.({ id, how: returns[bytes] ?? 'closed' });
      else if (kind === eventKinds.crowded) this.#onCrowd?.(bytes > 0);
      else this.#end(id, { outcome, code: errno === 0 ? undefined : errnoName(-errno), bytes });
    }
  }

  #asked(claim: ShimClaim): Claim {
    const made = this.#claim(claim, 'writer');
    if (!made.atOnce) this.#press.whilst(made.granted);
    return made;
  }

  #claim({ id, granted }: ShimClaim, who: 'writer' | 'reader'): Claim {
    if (granted) return { id, atOnce: true, granted: Promise.resolve(true) };
    const began = performance.now();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#claims.set(id, (had) => {
      this.#waits[who].add((performance.now() - began) / 1000);
      resolve(had);
    });
    return { id, atOnce: false, granted: promise };
  }

  #settleClaim(id: number, granted: boolean): void {
    const resolve = this.#claims.get(id);
    this.#claims.delete(id);
    resolve?.(granted);
  }

  #gone(generation: number): void {
    const resolve = this.#retired.get(generation);
    this.#retired.delete(generation);
    resolve?.();
  }

  #end(transmission: TransmissionId, end: Sent): void {
    const resolve = this.#ends.get(transmission);
    this.#ends.delete(transmission);
    resolve?.(end);
  }
}

/** [offset, length, "literal", offset, length, …] */
function flatten(segments: readonly Segment[]): (string | number)[] {
  const flat: (string | number)[] = [];
  for (const segment of segments) {
    if (typeof segment === 'string') flat.push(segment);
    else flat.push(segment.offset, segment.length);
  }
  return flat;
}

function checked(result: number, what: string): number {
  if (result < 0) throw new SystemError(errnoName(result), what);
  return result;
}

function checkedObject<Result extends object>(result: Result | number, what: string): Result {
  if (typeof result === 'number') throw new SystemError(errnoName(result), what);
  return result;
}
