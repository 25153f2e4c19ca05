/**
 * A TCP connection that Node accepted, from its first native transmission on. Its bytes have one owner at a time: Node,
 * or between `send` and its end a lane (native-shim/core/wire/connection.h draws it).
 *
 * @module
 */
import { type OutgoingHttpHeaders, type Server, ServerResponse } from 'node:http';
import type { BlockList, Socket } from 'node:net';
import type { HeldTransmission, WayOut, WaysOut } from '../http/read/way-out.ts';
import type { Grant, Returned } from '../relay/grants.ts';
import type { ConnectionListener, NativeRelay } from '../relay/native-relay.ts';
import type { PeerKind, Sent, TransmissionId } from '../relay/relay.ts';
import { canSendNatively } from './feature-test.ts';
import {
  descriptorOf,
  type Finish,
  finalize,
  isAnswering,
  isReading,
  markAnswering,
  queuedBytes,
  replaceFinal,
  serverOf,
  startReading,
  stopReading,
} from './internals.ts';
import { holdBack, letGo } from './reading.ts';
import { sendHeld } from './send.ts';

/** Requests that Node answers after a grant that came to nothing, at most: their number doubles. */
const mostSkipped = 63;

const connections = new WeakMap<Socket, Connection>();

// Shared by all: a function of each connection's own would be a fifth of what it costs in memory.
function closed(this: Socket): void {
  connections.get(this)?.closed();
}

function finishWhenDone(this: Socket, callback: Finish): void {
  ignoreRest(this);
  connections.get(this)?.finish(callback);
}

// Node would go on parsing what comes after the last response. A whole request it would take for the one whose turn it
// is, past those that it has dropped, and end the process by an assertion (resOnFinish, Node 22 to 24).
function ignoreRest(socket: Socket): void {
  socket.on('data', ignore);
  for (const listener of socket.listeners('data')) {
    if (listener !== ignore) socket.removeListener('data', listener as () => void);
  }
}

function ignore(): void {}

// Node's timer of a socket sees no progress of native bytes. Returns what sets it as it was.
function stopTime(socket: Socket): () => void {
  const timeout = socket.timeout ?? 0;
  socket.setTimeout(0);
  return () => socket.setTimeout(timeout);
}

const closing = new WeakSet<Server>();
const closeAfter = 20; // milliseconds, in which Node reads what has come

// A server that closes has closed the connections that were idle then, but for those that lanes had.
function closeIdleLater(server: Server | undefined): void {
  if (!server || server.listening || closing.has(server)) return;
  closing.add(server);
  setTimeout(() => {
    closing.delete(server);
    server.closeIdleConnections();
  }, closeAfter);
}

/** One adopted connection. */
export class Connection implements ConnectionListener, WayOut {
  readonly peerKind: PeerKind;
  readonly #relay: NativeRelay;
  readonly #socket: Socket;
  readonly #id: number;
  /** Of the same socket, adopted by another relay: an application can have several. */
  readonly #other: Connection | undefined;
  #finish: Finish | undefined;
  #skipped = 0;
  /** So many responses are skipped before the next grant. */
  #useless = 1;

  /** @param known what the relay knows it as */
  constructor(relay: NativeRelay, socket: Socket, known: { readonly id: number; readonly peerKind: PeerKind }) {
    relay.listen(known.id, this);
    this.peerKind = known.peerKind;
    this.#relay = relay;
    this.#socket = socket;
    this.#id = known.id;
    this.#other = connections.get(socket);
    connections.set(socket, this);
    if (this.#other) return;
    replaceFinal(socket, finishWhenDone);
    socket.once('close', closed);
  }

  /** The connection that a relay has adopted of a socket. */
  static of(relay: NativeRelay, socket: Socket): Connection | undefined {
    let connection = connections.get(socket);
    while (connection && connection.#relay !== relay) connection = connection.#other;
    return connection;
  }

  carries(response: ServerResponse): boolean {
    return response.socket === this.#socket;
  }

  /** Whether Node itself has nothing queued: only then may native bytes follow. */
  get flushed(): boolean {
    return this.#socket.writableLength === 0 && queuedBytes(this.#socket) === 0;
  }

  answer(response: ServerResponse, held: HeldTransmission, fields: OutgoingHttpHeaders = {}): Promise<Sent> {
    return sendHeld({ ...held, relay: this.#relay, connection: this }, response, fields);
  }

  /**
   * Sends a head that Node has not sent (may be empty) and a held transmission of `length` bytes, and gives the
   * connection back to Node. After any outcome but `complete` the connection is broken off: the caller destroys its
   * socket.
   */
  async send(transmission: TransmissionId, head: string, length: number): Promise<Sent> {
    const end = this.#relay.send(this.#id, transmission, head, length);
    return end instanceof Promise ? await this.#whileLaneOwns(end) : end;
  }

  /**
   * Whether it is worth while to grant it to its lane after one more response: not after the first one, for many
   * connections have no other, and seldom when the last grants came to nothing.
   *
   * @param isKnown the request has come before: then its first response will do
   */
  isWorthGranting(isKnown: boolean): boolean {
    if (this.#skipped === this.#useless || (isKnown && this.#useless <= 1)) return true;
    this.#skipped++;
    return false;
  }

  grant(grant: Grant): void {
    const socket = this.#socket;
    const quiet = this.flushed && socket.readableLength === 0 && !socket.destroyed && !isAnswering(socket);
    if (!quiet || !isReading(socket)) return;
    stopReading(socket);
    const returned = this.#relay.grant(this.#id, grant);
    if (returned) void this.#whileGranted(returned);
    else startReading(socket);
  }

  /** Ends a connection whose peer must be able to tell that a body ends short. */
  breakOff(): void {
    this.#relay.breakOff(this.#id);
    this.#socket.destroy();
  }

  stalled(): void {
    this.breakOff();
  }

  drained(): void {
    const finish = this.#finish;
    this.#finish = undefined;
    if (!finish || this.#socket.destroyed) return;
    if (this.#other) this.#other.finish(finish);
    else finalize(this.#socket, finish);
  }

  closed(): void {
    this.#relay.closeConnection(this.#id);
    this.#other?.closed();
  }

  // A local peer that has sent its FIN vanishes from the kernel's tables when ours arrives, while its process can
  // still read the pages in its queue. So ours waits until nothing is undone (docs/done.md).
  finish(callback: Finish): void {
    this.#finish = callback;
    if (this.#relay.mayFinish(this.#id)) this.drained();
  }

  // While the lane sends, Node must not read: a pipelined request would be parsed into a queue without back-pressure.
  async #whileLaneOwns(end: Promise<Sent>): Promise<Sent> {
    const socket = this.#socket;
    const timeAgain = stopTime(socket);
    holdBack(socket, 'lane');
    const ended = await end;
    if (!socket.destroyed) {
      timeAgain();
      letGo(socket, 'lane');
    }
    return ended;
  }

  async #whileGranted(end: Promise<Returned>): Promise<void> {
    const socket = this.#socket;
    const timeAgain = stopTime(socket);
    markAnswering(socket, true);
    const { whole, answers } = await end;
    markAnswering(socket, false);
    this.#skipped = 0;
    this.#useless = answers > 0 ? 0 : Math.min(2 * this.#useless + 1, mostSkipped);
    if (!whole) socket.destroy();
    if (socket.destroyed) return;
    timeAgain();
    this.#readOn();
    closeIdleLater(serverOf(socket));
  }

  // As if Node had read it itself.
  #readOn(): void {
    try {
      const unread = this.#relay.unread(this.#id);
      if (unread.length > 0) this.#socket.push(unread);
      startReading(this.#socket);
    } catch (error) {
      this.#socket.destroy(error as Error);
    }
  }
}

/** Finds the connection of a socket, adopting it at its first native transmission. */
export class Connections implements WaysOut {
  readonly #relay: NativeRelay;
  readonly #unaskable: BlockList;

  constructor(relay: NativeRelay, unaskable: BlockList) {
    this.#relay = relay;
    this.#unaskable = unaskable;
  }

  of(response: unknown, node: number): Connection | undefined {
    const socket = response instanceof ServerResponse ? response.socket : null;
    if (!socket) return undefined;
    const known = Connection.of(this.#relay, socket);
    if (known) return known;
    const fd = canSendNatively() ? descriptorOf(socket) : undefined;
    if (fd === undefined) return undefined;
    return new Connection(this.#relay, socket, this.#relay.adopt(fd, this.#isListed(socket), node));
  }

  #isListed(socket: Socket): boolean {
    const { remoteAddress, remoteFamily } = socket;
    if (!remoteAddress) return true;
    const mapped = remoteAddress.startsWith('::ffff:') ? remoteAddress.slice('::ffff:'.length) : undefined;
    if (mapped?.includes('.')) return this.#unaskable.check(mapped, 'ipv4');
    return this.#unaskable.check(remoteAddress, remoteFamily === 'IPv6' ? 'ipv6' : 'ipv4');
  }
}
