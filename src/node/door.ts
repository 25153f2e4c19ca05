/**
 * Lanes accept the connections of a server, and give Node those that they can't answer: a client that connects, asks
 * once for what others have asked for, and goes, never reaches JavaScript.
 *
 * @module
 */
import type { Server } from 'node:http';
import { Socket } from 'node:net';
import type { Arrival, NativeRelay } from '../relay/native-relay.ts';
import { Connection } from './connection.ts';
import { canAcceptInLanes } from './feature-test.ts';
import { countAmong, type ListeningHandle, listeningHandleOf, replaceListeningHandle } from './internals.ts';

const longest = 2 ** 31 - 1; // of a timer, milliseconds

/**
 * In place of the handle that a server listens by: so that it can be closed, and asked for its address, as ever. Node's
 * cluster module does the same in its workers.
 */
class DoorHandle implements ListeningHandle {
  readonly #server: Server;
  readonly #relay: NativeRelay;
  readonly #door: number;
  readonly #address: object;
  // A listening handle keeps its process alive.
  readonly #alive = setInterval(() => {}, longest);

  constructor(server: Server, relay: NativeRelay, door: number, address: object) {
    this.#server = server;
    this.#relay = relay;
    this.#door = door;
    this.#address = address;
  }

  getsockname(into: object): number {
    Object.assign(into, this.#address);
    return 0;
  }

  close(callback?: () => void): void {
    clearInterval(this.#alive);
    this.#relay.closeDoor(this.#door);
    for (const socket of idle.get(this.#server) ?? []) socket.destroy();
    if (callback) setImmediate(callback);
  }

  ref(): void {
    this.#alive.ref();
  }

  unref(): void {
    this.#alive.unref();
  }

  hasRef(): boolean {
    return this.#alive.hasRef();
  }
}

/**
 * Has a relay's lanes accept the connections of a server that listens. Where they can't, Node goes on to.
 *
 * @param server one that speaks HTTP/1 over plain TCP, with no limit to its connections
 * @returns whether they do
 */
export function openDoor(server: Server, relay: NativeRelay): boolean {
  const handle = canAcceptInLanes() ? listeningHandleOf(server) : undefined;
  const { fd = -1 } = handle ?? {};
  const address = server.address();
  const isTcp = handle && fd >= 0 && typeof address === 'object' && address !== null;
  if (!isTcp || server.maxConnections !== undefined) return false;
  const door = relay.openDoor(fd, (arrival) => receive(server, relay, arrival));
  if (door === undefined) return false;
  replaceListeningHandle(server, new DoorHandle(server, relay, door, address));
  handle.close(); // The relay has a descriptor of its own.
  return true;
}

/** Who has had answers, and asks for nothing: Node's server does not know that they are idle. */
const idle = new WeakMap<Server, Set<Socket>>();

function receive(server: Server, relay: NativeRelay, arrival: Arrival): void {
  try {
    welcome(server, relay, arrival);
  } catch {
    relay.closeConnection(arrival.id); // The others are to arrive.
  }
}

function welcome(server: Server, relay: NativeRelay, { id, answers }: Arrival): void {
  const unread = unreadOf(relay, id);
  const taken = unread && relay.take(id);
  if (!taken) return;
  const { fd, peerKind } = taken;
  const socket = socketOf(server, fd);
  if (peerKind) new Connection(relay, socket, { id, peerKind });
  const isIdle = unread.length === 0;
  if (isIdle && !server.listening) {
    socket.destroy(); // Who has asked for nothing is closed when its server is.
    return;
  }
  if (isIdle && answers > 0) closeWhenIdle(socket, server);
  server.emit('connection', socket);
  if (!isIdle) socket.push(unread);
}

function unreadOf(relay: NativeRelay, id: number): Buffer | undefined {
  try {
    return relay.unread(id);
  } catch {
    relay.closeConnection(id); // No memory: what its client has asked can't be known.
    return undefined;
  }
}

function socketOf(server: Server, fd: number): Socket {
  const socket = new Socket({ fd, allowHalfOpen: true, readable: true, writable: true });
  countAmong(server, socket);
  return socket;
}

// Node would wait for a first request, and answer 408 when none comes. This client has had answers.
function closeWhenIdle(socket: Socket, server: Server): void {
  const timeout = Math.min(server.keepAliveTimeout, server.headersTimeout / 2);
  const close = () => socket.destroy();
  const sockets = idle.get(server) ?? new Set();
  idle.set(server, sockets.add(socket));
  socket.once('close', () => sockets.delete(socket));
  socket.setTimeout(timeout, close);
  socket.once('data', () => {
    sockets.delete(socket);
    socket.removeListener('timeout', close);
    socket.setTimeout(server.timeout);
  });
}
