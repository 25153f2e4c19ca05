import type { Segment } from '../range/plan.ts';
import { Reads } from './reads.ts';
import {
  type Counters,
  type Engine,
  type FileIdentity,
  type Generation,
  type JudgedContent,
  type Outcome,
  type PeerKind,
  type Reference,
  type Relay,
  type Sent,
  SystemError,
  type TransmissionId,
  type Tree,
} from './relay.ts';
import { reopenDescriptor } from './reopen.ts';
import { errnoName, type Shim, type ShimEvents, type ShimOptions, type ShimRelay } from './shim.ts';

/** A connection's listeners: what its lane has to say between transmissions. */
export type ConnectionListener = {
  /** The FIN that was asked for may go out. */
  drained(): void;
  /** No progress for the longest time that pages may be held: the connection is to be broken off. */
  stalled(): void;
};

// enum pr_event_kind
const eventKinds = { accepted: 0, broken: 1, drained: 2, stalled: 3 } as const;
const fieldsOfEvent = 5;

/** A relay over the native shim. It keeps the listeners of what lanes carry, and no truth about holds. */
export class NativeRelay implements Relay {
  readonly portableBecause = undefined;
  readonly #shim: Shim;
  readonly #relay: ShimRelay;
  readonly #ends = new Map<TransmissionId, (end: Sent) => void>();
  readonly #listeners = new Map<number, ConnectionListener>();
  readonly #reads = new Reads();
  #closed = false;

  constructor(shim: Shim, options: ShimOptions) {
    this.#shim = shim;
    this.#relay = shim.createRelay(options, (events) => this.#deliver(events));
  }

  openTree(path: string): Tree {
    return { id: checked(this.#shim.openTree(this.#relay, path), path), path };
  }

  identify(tree: Tree | undefined, path: string): FileIdentity {
    return checkedObject(this.#shim.statGeneration(this.#relay, tree?.id ?? 0, path), path);
  }

  isAt(generation: Generation, tree: Tree | undefined, path: string): boolean {
    return checked(this.#shim.generationIsAt(this.#relay, generation.id, tree?.id ?? 0, path), path) === 1;
  }

  openGeneration(tree: Tree | undefined, path: string): Generation {
    return checkedObject(this.#shim.openGeneration(this.#relay, tree?.id ?? 0, path), path);
  }

  closeGeneration(generation: Generation): void {
    this.#shim.closeGeneration(this.#relay, generation.id);
  }

  hold(judged: JudgedContent, engine: Engine, segments: readonly Segment[]): TransmissionId | undefined {
    const { generation, epoch, version } = judged;
    const flat = segments.flatMap((segment): (string | number)[] =>
      typeof segment === 'string' ? [segment] : [segment.offset, segment.length],
    );
    const result = this.#shim.hold(this.#relay, generation.id, epoch, version, engine, flat);
    // EBADF: closed, and its last reference gone, since it was judged.
    if (result < 0 && ['ESTALE', 'EBADF'].includes(errnoName(result))) return undefined;
    return checked(result, 'hold');
  }

  changeToStream(transmission: TransmissionId): void {
    checked(this.#shim.changeToStream(this.#relay, transmission), 'changeToStream');
  }

  async read(generation: Generation, buffer: Uint8Array, offset: number): Promise<number> {
    const fd = checked(this.#shim.generationDescriptor(this.#relay, generation.id), 'descriptor');
    return this.#reads.read(fd, buffer, offset);
  }

  reopen(generation: Generation): number | undefined {
    if (generation.backing === 'devdax') return undefined;
    return reopenDescriptor(this.#shim.generationDescriptor(this.#relay, generation.id));
  }

  advance(transmission: TransmissionId, bytes: number): void {
    checked(this.#shim.advance(this.#relay, transmission, bytes), 'advance');
  }

  release(transmission: TransmissionId, outcome: Outcome): void {
    if (!this.#closed) this.#shim.release(this.#relay, transmission, outcome);
  }

  references(generation?: Generation): Reference[] {
    return checkedObject(this.#shim.references(this.#relay, generation?.id ?? 0), 'references');
  }

  counters(): Counters {
    return this.#shim.counters(this.#relay);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#reads.ended();
    this.#shim.closeRelay(this.#relay);
    for (const resolve of this.#ends.values()) resolve({ outcome: 'cancelled', code: 'ECANCELED', bytes: 0 });
    this.#ends.clear();
  }

  /** A new memfd, writable and sealable; the caller closes it. @throws SystemError */
  createMemfd(name: string): number {
    return checked(this.#shim.createMemfd(name), name);
  }

  /**
   * Takes a second descriptor of a TCP socket and finds out who its peer is.
   *
   * @throws SystemError; EPROTOTYPE when it is no TCP connection
   */
  adopt(
    fd: number,
    unaskable: boolean,
    node: number,
    listener: ConnectionListener,
  ): { id: number; peerKind: PeerKind } {
    const adopted = checkedObject(this.#shim.adopt(this.#relay, fd, unaskable, node), 'adopt');
    this.#listeners.set(adopted.id, listener);
    return adopted;
  }

  /**
   * Sends a head and a held transmission of `length` bytes: how it ended, at once or when a lane is through. Never
   * rejects.
   */
  send(connection: number, transmission: TransmissionId, head: string, length: number): Sent | Promise<Sent> {
    const result = this.#shim.send(this.#relay, connection, transmission, head);
    if (result === 1) return { outcome: 'complete', code: undefined, bytes: length };
    if (typeof result === 'number') return new Promise((resolve) => this.#ends.set(transmission, resolve));
    this.release(transmission, 'failed'); // Finds it only where it could not be sent on this connection at all.
    return { outcome: result.outcome, code: errnoName(result.errno), bytes: result.bytes };
  }

  /** Whether our FIN may go out now; if not, `drained` will tell. */
  mayFinish(connection: number): boolean {
    return this.#closed || this.#shim.finish(this.#relay, connection) !== 0;
  }

  breakOff(connection: number): void {
    if (!this.#closed) this.#shim.breakOff(this.#relay, connection);
  }

  /** Node's descriptor is closed; the relay's closes when nothing of the connection is undone. */
  closeConnection(connection: number): void {
    this.#listeners.delete(connection);
    if (!this.#closed) this.#shim.closeConnection(this.#relay, connection);
  }

  #deliver(events: ShimEvents): void {
    for (let at = 0; at < events.length; at += fieldsOfEvent) {
      const event = events.slice(at, at + fieldsOfEvent) as [number, number, Outcome, number, number];
      const [kind, id, outcome, errno, bytes] = event;
      if (kind === eventKinds.drained) this.#listeners.get(id)?.drained();
      else if (kind === eventKinds.stalled) this.#listeners.get(id)?.stalled();
      else this.#end(id, { outcome, code: errno === 0 ? undefined : errnoName(-errno), bytes });
    }
  }

  #end(transmission: TransmissionId, end: Sent): void {
    const resolve = this.#ends.get(transmission);
    this.#ends.delete(transmission);
    resolve?.(end);
  }
}

function checked(result: number, what: string): number {
  if (result < 0) throw new SystemError(errnoName(result), what);
  return result;
}

function checkedObject<Result extends object>(result: Result | number, what: string): Result {
  if (typeof result === 'number') throw new SystemError(errnoName(result), what);
  return result;
}
