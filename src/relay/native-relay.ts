import { isAbsolute } from 'node:path';
import { inMilliseconds, type LimitsByPlace, unlimited } from '../limits/limits.ts';
import { Claims } from './claims.ts';
import { deliver, type ShimEvent } from './events.ts';
import { flatten, type Segment } from './extent.ts';
import { missing } from './file-identity.ts';
import { Files } from './files.ts';
import { checked, checkedObject, Handle } from './handle.ts';
import { LaneAnswers } from './lane-answers.ts';
import { Looks, mostLooks } from './looks.ts';
import { type MeansOfBacking, meansOn } from './means.ts';
import { OpenedFiles } from './opened.ts';
import { mostItems, type Page } from './page.ts';
import { type DoorOptions, type Responding, type Return, returns } from './publication.ts';
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

const noLimit = Number.MAX_SAFE_INTEGER;

/** A relay over the native shim. It keeps the listeners of what lanes carry, and no truth about holds. */
export class NativeRelay implements Relay {
  readonly portableBecause = undefined;
  /** Work on files, off the event loop. */
  readonly files: Files;
  readonly witness: Witness;
  /** Calls that a filter refuses to this process. */
  readonly refused: RefusedCalls;
  /** Leases, and places in the queue for pages. */
  readonly claims: Claims;
  /** What lanes may answer by themselves. */
  readonly answers: LaneAnswers;
  readonly #shim: Shim;
  readonly #relay: ShimRelay;
  readonly #handle: Handle;
  readonly #ends = new Map<TransmissionId, (end: Sent) => void>();
  readonly #listeners = new Map<number, ConnectionListener>();
  readonly #unwanted = new Map<TransmissionId, () => void>();
  readonly #retired = new Map<number, () => void>();
  readonly #looks = new Looks();
  readonly #opened = new OpenedFiles();
  readonly #limits: LimitsByPlace;
  readonly #others: Partial<ShimLimits> = { mostDescriptors: 0, shortOfMemory: 0 };
  #onArrival: ((arrival: Arrival) => void) | undefined;
  #onCrowd: ((isMakingRoom: boolean) => void) | undefined;
  /** Lanes have opened files: they are to be taken (`takeOpened`), all of them. */
  onOpened: (() => void) | undefined;

  /**
   * @param breakHolds seconds that a writer waits for a reference before it is broken off
   * @param claims for tests: what the witness says, whatever it sees
   */
  constructor(shim: Shim, options: ShimOptions, breakHolds: number, limits: LimitsByPlace = unlimited) {
    this.#shim = shim;
    this.#relay = shim.createRelay(options, (events) => this.#deliver(events));
    this.#handle = new Handle(shim, this.#relay);
    this.claims = new Claims(this.#handle, breakHolds);
    this.answers = new LaneAnswers(this.#handle);
    this.#limits = limits;
    this.limit({});
    this.files = new Files(shim);
    this.witness = new Witness(shim);
    this.refused = tryCalls(shim);
  }

  /** From now on the limits that it was opened with hold, but for these, and those that were given so before. */
  limit(others: Partial<ShimLimits>): void {
    const { elsewhere, here } = this.#limits;
    Object.assign(this.#others, others);
    const given = [elsewhere, here].map((limits) => ({ ...inMilliseconds(limits), ...this.#others }));
    const [toElsewhere, toHere] = given as [ShimLimits, ShimLimits];
    if (!this.#closed) this.#shim.limit(this.#relay, toElsewhere, toHere);
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
    return this.claims.place(generation, segments);
  }

  endPlace(place: Claim): void {
    this.claims.endPlace(place);
  }

  onUnwanted(transmission: TransmissionId, callback: () => void): void {
    this.#unwanted.set(transmission, callback);
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

  get #closed(): boolean {
    return this.#handle.isClosed;
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
    return this.#handle.reads.read(fd, buffer, offset);
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
    const { writer, reader } = this.claims.waits;
    const { lanes, ...counted } = this.#shim.counters(this.#relay);
    return { ...counted, waits: { writer: writer.counted, reader: reader.counted } };
  }

  lanes(): readonly Lane[] {
    return this.#shim.counters(this.#relay).lanes;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#handle.isClosed = true;
    await this.#handle.reads.ended();
    this.#shim.closeRelay(this.#relay);
    for (const resolve of this.#ends.values()) resolve({ outcome: 'cancelled', code: 'ECANCELED', bytes: 0 });
    this.#ends.clear();
    this.claims.close();
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
  openListener(fd: number, { number, anyHost, takesProxy, node }: DoorOptions): number | undefined {
    const kind = (anyHost ? 1 : 0) + (takesProxy ? 2 : 0);
    const door = this.#shim.act(this.#relay, 'openDoor', fd, number, kind, node === undefined ? 0 : node + 1);
    return door < 0 ? undefined : door;
  }

  /** Trusts proxies to say for whom they ask: a network, or `unix:`. Before `openListener`. @throws SystemError */
  trustProxy(network: string): void {
    checked(this.#shim.tell(this.#relay, 'proxy', network), network);
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
    return checked(await this.#handle.reads.follow(Promise.resolve(reading)), 'read');
  }

  #deliver(events: ShimEvents): void {
    const end = ({ id, outcome, errno, bytes }: ShimEvent) =>
      this.#end(id, { outcome, code: errno === 0 ? undefined : errnoName(-errno), bytes });
    deliver(events, {
      accepted: end,
      broken: end,
      drained: ({ id }) => this.#listeners.get(id)?.drained(),
      stalled: ({ id }) => this.#listeners.get(id)?.stalled(),
      granted: ({ id, errno }) => this.claims.settle(id, errno === 0),
      unwanted: ({ id }) => this.#unwanted.get(id)?.(),
      gone: ({ id }) => this.#gone(id),
      returned: ({ id, bytes }) => this.#listeners.get(id)?.returned(returns[bytes] ?? 'closed'),
      arrived: ({ id, bytes }) => this.#onArrival?.({ id, how: returns[bytes] ?? 'closed' }),
      crowded: ({ bytes }) => this.#onCrowd?.(bytes > 0),
      opened: () => this.onOpened?.(),
    });
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
