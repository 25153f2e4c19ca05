/**
 * A TCP connection that both Node and the relay have to do with: one that Node accepted, from its first native
 * transmission on, or that lanes accepted, from the first request on that Node has to answer. Its bytes have one owner
 * at a time, Node or a lane (native-shim/core/wire/connection.h draws it).
 *
 * @module
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { BlockList, Socket } from 'node:net';
import type { HeldTransmission, WayOut, WaysOut } from '../http/read/way-out.ts';
import type { ConnectionListener, NativeRelay } from '../relay/native-relay.ts';
import type { Return } from '../relay/publication.ts';
import type { PeerKind, Sent, TransmissionId } from '../relay/relay.ts';
import { canSendNatively } from './feature-test.ts';
import { descriptorOf, type Finish, finalize, queuedBytes, replaceFinal } from './internals.ts';
import { holdBack, letGo, stopTime } from './reading.ts';
import { sendHeld } from './send.ts';

const http = process.getBuiltinModule('node:http');

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

/** One adopted connection. */
export class Connection implements ConnectionListener, WayOut {
  readonly peerKind: PeerKind;
  readonly relay: NativeRelay;
  readonly #socket: Socket;
  readonly #id: number;
  /** Of the same socket, adopted by another relay: an application can have several. */
  readonly #other: Connection | undefined;
  #finish: Finish | undefined;
  /** Another process has the socket too. */
  isPassedOn = false;
  #whenDone: (() => void) | undefined;
  /** Is told when a lane that has read the connection gives it to Node. */
  onReturned: ((how: Return) => void) | undefined;

  /** @param known what the relay knows it as */
  constructor(relay: NativeRelay, socket: Socket, known: { readonly id: number; readonly peerKind: PeerKind }) {
    relay.listen(known.id, this);
    this.peerKind = known.peerKind;
    this.relay = relay;
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
    while (connection && connection.relay !== relay) connection = connection.#other;
    return connection;
  }

  carries(response: ServerResponse): boolean {
    return response.socket === this.#socket;
  }

  /** Whether Node itself has nothing queued: only then may native bytes follow. */
  get flushed(): boolean {
    return this.#socket.writableLength === 0 && queuedBytes(this.#socket) === 0;
  }

  answer(response: ServerResponse, held: HeldTransmission, fields: OutgoingHttpHeaders = {}): Sent | Promise<Sent> {
    return sendHeld(this, held, response, fields);
  }

  /**
   * Sends a head that Node has not sent (may be empty) and a held transmission of `length` bytes, and gives the
   * connection back to Node. After any outcome but `complete` the connection is broken off: the caller destroys its
   * socket.
   */
  send(transmission: TransmissionId, head: string, length: number): Sent | Promise<Sent> {
    const end = this.relay.send(this.#id, transmission, head, length);
    return end instanceof Promise ? this.#whileLaneOwns(end) : end;
  }

  /** Ends a connection whose peer must be able to tell that a body ends short. */
  breakOff(): void {
    this.relay.breakOff(this.#id);
    this.#socket.destroy();
  }

  stalled(): void {
    this.breakOff();
  }

  returned(how: Return): void {
    this.onReturned?.(how);
  }

  /**
   * Resolves when a FIN may go out: once another process has the connection, nobody here can keep it from sending one, after
   * which a local peer's queue is out of sight (docs/done.md).
   */
  async untilDone(): Promise<void> {
    if (this.relay.mayFinish(this.#id)) return;
    await new Promise<void>((resolve) => {
      this.#whenDone = resolve;
    });
  }

  drained(): void {
    this.#whenDone?.();
    const finish = this.#finish;
    this.#finish = undefined;
    if (!finish || this.#socket.destroyed) return;
    if (this.#other) this.#other.finish(finish);
    else finalize(this.#socket, finish);
  }

  closed(): void {
    this.#whenDone?.();
    if (this.isPassedOn) this.relay.leaveConnection(this.#id);
    else this.relay.closeConnection(this.#id);
    this.#other?.closed();
  }

  // A local peer that has sent its FIN vanishes from the kernel's tables when ours arrives, while its process can
  // still read the pages in its queue. So ours waits until nothing is undone (docs/done.md).
  finish(callback: Finish): void {
    this.#finish = callback;
    if (this.relay.mayFinish(this.#id)) this.drained();
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
    const socket = response instanceof http.ServerResponse ? response.socket : null;
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
