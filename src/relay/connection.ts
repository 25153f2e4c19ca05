/**
 * A TCP connection that Node accepted, from its first native transmission on. Its bytes have one owner at a time: Node,
 * or between `send` and its end a lane (native-shim/core/state.h draws it).
 *
 * @module
 */
import { ServerResponse } from 'node:http';
import { type BlockList, Socket } from 'node:net';
import type { NativeRelay } from './native-relay.ts';
import type { PeerKind, Sent, TransmissionId } from './relay.ts';

/** What Node keeps to itself of a socket: undocumented, stable since Node 0.x, and tested for at every use. */
type SocketInternals = {
  _handle?: { readonly fd?: number; readonly writeQueueSize?: number } | null;
  _final?: (callback: (error?: Error | null) => void) => void;
};

/** The descriptor of a plain TCP socket; undefined for TLS, pipes and what is no socket at all. */
function descriptorOf(socket: Socket): number | undefined {
  if (!(socket instanceof Socket) || 'encrypted' in socket || socket.destroyed) return undefined;
  const { _handle, _final } = socket as SocketInternals;
  const fd = _handle?.fd;
  const known = typeof fd === 'number' && typeof _handle?.writeQueueSize === 'number' && typeof _final === 'function';
  return known && fd >= 0 && socket.remoteFamily !== undefined ? fd : undefined;
}

/** One adopted connection. */
export class Connection {
  readonly peerKind: PeerKind;
  readonly #relay: NativeRelay;
  readonly #socket: Socket;
  readonly #id: number;
  #finish: (() => void) | undefined;

  constructor(relay: NativeRelay, socket: Socket, fd: number, unaskable: boolean, node: number) {
    const adopted = relay.adopt(fd, unaskable, node, {
      drained: () => this.#finish?.(),
      stalled: () => this.breakOff(),
    });
    this.peerKind = adopted.peerKind;
    this.#relay = relay;
    this.#socket = socket;
    this.#id = adopted.id;
    this.#holdBackFin();
    socket.once('close', () => relay.closeConnection(adopted.id));
  }

  /** Whether this is the connection that a response goes out on. */
  carries(response: ServerResponse): boolean {
    return response.socket === this.#socket;
  }

  /** Whether Node itself has nothing queued: only then may native bytes follow. */
  get flushed(): boolean {
    return this.#socket.writableLength === 0 && (this.#socket as SocketInternals)._handle?.writeQueueSize === 0;
  }

  /**
   * Sends a head that Node has not sent (may be empty) and a held transmission of `length` bytes, and gives the connection back to Node. After any outcome but `complete` the connection
   * is broken off: the caller destroys its socket.
   */
  async send(transmission: TransmissionId, head: string, length: number): Promise<Sent> {
    const end = this.#relay.send(this.#id, transmission, head, length);
    return end instanceof Promise ? await this.#whileLaneOwns(end) : end;
  }

  /** Ends a connection whose peer must be able to tell that a body ends short. */
  breakOff(): void {
    this.#relay.breakOff(this.#id);
    this.#socket.destroy();
  }

  // While the lane sends, Node must not read (a pipelined request would be parsed into a queue without back-pressure),
  // nor destroy the socket by a timer that sees no progress of native bytes.
  async #whileLaneOwns(end: Promise<Sent>): Promise<Sent> {
    const socket = this.#socket;
    const timeout = socket.timeout ?? 0;
    socket.setTimeout(0);
    socket.pause();
    const ended = await end;
    if (!socket.destroyed) {
      socket.setTimeout(timeout);
      socket.resume();
    }
    return ended;
  }

  // A local peer that has sent its FIN vanishes from the kernel's tables when ours arrives, while its process can
  // still read the pages in its queue. So ours waits until nothing is undone (docs/done.md).
  #holdBackFin(): void {
    const internals = this.#socket as SocketInternals;
    const original = internals._final;
    internals._final = (callback) => {
      this.#finish = () => {
        this.#finish = undefined;
        if (!this.#socket.destroyed) original?.call(this.#socket, callback);
      };
      if (this.#relay.mayFinish(this.#id)) this.#finish();
    };
  }
}

/** Finds the connection of a socket, adopting it at its first native transmission. */
export class Connections {
  readonly #relay: NativeRelay;
  readonly #unaskable: BlockList;
  readonly #known = new WeakMap<Socket, Connection>();

  constructor(relay: NativeRelay, unaskable: BlockList) {
    this.#relay = relay;
    this.#unaskable = unaskable;
  }

  /**
   * The connection that a response goes out on.
   *
   * @param response only HTTP/1 has a connection of its own per response
   * @param node NUMA node of the pages that it will be sent first; decides its lane
   * @returns undefined where there is no raw TCP socket: the portable engine serves
   * @throws SystemError when descriptors or memory are short
   */
  of(response: unknown, node: number): Connection | undefined {
    const socket = response instanceof ServerResponse ? response.socket : null;
    if (!socket) return undefined;
    const known = this.#known.get(socket);
    if (known) return known;
    const fd = descriptorOf(socket);
    if (fd === undefined) return undefined;
    const connection = new Connection(this.#relay, socket, fd, this.#isListed(socket), node);
    this.#known.set(socket, connection);
    return connection;
  }

  #isListed(socket: Socket): boolean {
    const { remoteAddress, remoteFamily } = socket;
    if (!remoteAddress) return true;
    const mapped = remoteAddress.startsWith('::ffff:') ? remoteAddress.slice('::ffff:'.length) : undefined;
    if (mapped?.includes('.')) return this.#unaskable.check(mapped, 'ipv4');
    return this.#unaskable.check(remoteAddress, remoteFamily === 'IPv6' ? 'ipv6' : 'ipv4');
  }
}
