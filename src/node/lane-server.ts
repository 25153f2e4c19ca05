/**
 * A server whose connections lanes accept and read. Node's own server is given the requests that they do not answer, one
 * at a time, as if it had read them; and the connections whose bytes they can't tell apart, for good.
 *
 * @module
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Socket, type SocketConstructorOpts } from 'node:net';
import { noteArrival } from '../http/guard/arrived-by.ts';
import { type TrustedProxies, trustedProxyText, unixPeer } from '../http/guard/trusted-proxies.ts';
import { onceEnded } from '../observe/response-end.ts';
import { openDescriptors, usableDescriptors } from '../relay/descriptors.ts';
import type { Arrival, NativeRelay } from '../relay/native-relay.ts';
import type { Responding, Return } from '../relay/publication.ts';
import type { Taken } from '../relay/shim.ts';
import { type CountedByLane, countByLane } from './clients.ts';
import { Connection } from './connection.ts';
import { canAcceptInLanes } from './feature-test.ts';
import {
  countAmong,
  descriptorOf,
  isAnswering,
  listeningHandleOf,
  markAnswering,
  replaceListeningHandle,
  serverOf,
  tellPeer,
} from './internals.ts';
import { closeHandle, LanesHandle } from './lanes-handle.ts';
import { linger } from './lingering.ts';
import { describe, type Listener } from './listeners.ts';
import { headOf, passingOnOf } from './passing-on.ts';
import { holdBack, letGo, stopTime } from './reading.ts';
import { Room, refusal, refusalOfOne } from './room.ts';

const longest = 2 ** 31 - 1; // of a timer, milliseconds

/** How lanes answer, but for what is the server's. */
export type LaneOptions = Pick<Responding, 'guarded' | 'log' | 'combined' | 'beforeTime' | 'behindTime'> & {
  /** Who is trusted to say for whom they ask; undefined: nobody. */
  readonly proxies?: TrustedProxies | undefined;
  /** The server's room for connections, where that is known. */
  readonly room?: Room;
  /** Descriptors that are kept free; undefined: as `usableDescriptors` has it. */
  readonly reserveDescriptors?: number | undefined;
  /** Is told when there is none for a new one. */
  readonly onCrowd?: () => void;
  /** Connections that may be open; undefined: as many as the server allows, or there are descriptors for. */
  readonly maxConnections?: number | undefined;
};

/**
 * Has a relay's lanes accept and read the connections of a server that listens. Where they can't, Node goes on accepting.
 *
 * @param server one that speaks HTTP/1 over plain TCP, or a unix socket with a file
 * @param listeners where its connections come from
 * @returns those of them that lanes accept from; none where the server limits the requests of each connection, nor in a
 * release of Node whose servers are made otherwise
 */
export function giveToLanes(
  server: Server,
  relay: NativeRelay,
  lanes: LaneOptions,
  listeners: readonly Listener[] = server.listening ? [describe(server, undefined)] : [],
): readonly Listener[] {
  // Node would count the requests of each connection; a lane does not.
  if (!canAcceptInLanes() || listeners.length === 0 || (server.maxRequestsPerSocket ?? 0) > 0) return [];
  const {
    room = new Room(server, () => {}),
    maxConnections,
    reserveDescriptors,
    onCrowd,
    proxies,
    ...answering
  } = lanes;
  const responding = {
    ...answering,
    ...{ keepAliveSeconds: seconds(server.keepAliveTimeout), headSeconds: seconds(server.headersTimeout) },
    ...{ refusal, refusalOfOne },
  };
  relay.limit({
    maxConnections: maxConnections ?? server.maxConnections ?? 0,
    mostDescriptors: Math.max(
      1,
      usableDescriptors(reserveDescriptors) - openDescriptors() + relay.counters().openFiles,
    ),
  });
  const isReady = relay.respond(
    responding,
    (arrival) => receive({ server, relay, listeners }, arrival),
    (isMakingRoom) => {
      if (!isMakingRoom) room.closeIdle();
      onCrowd?.();
    },
  );
  if (!isReady) return [];
  for (const proxy of proxies?.list ?? []) relay.trustProxy(trustedProxyText(proxy));
  // Where some name a NUMA node, all need one, for their lanes sit on several.
  const usual = listeners.some(({ at }) => at.node !== undefined) ? relay.lanes()[0]?.node : undefined;
  const given = listeners.filter((listener, number) => give(relay, listener, number, usual));
  if (given.length === 0) return [];
  // Before others: what they do to a response shall find the connection followed.
  server.prependListener('request', follow);
  if (given.length === listeners.length) room.leaveToLanes();
  return given;
}

// Whether lanes accept from it.
function give(relay: NativeRelay, listener: Listener, number: number, usual: number | undefined): boolean {
  const { server, path, isLoopback, isInherited, at } = listener;
  const handle = listeningHandleOf(server);
  if (!handle || handle instanceof LanesHandle) return false; // Another relay of the application has it.
  if ((handle.fd ?? -1) < 0 || path?.startsWith('\0')) return false; // The last is a unix socket without a file.
  const door = relay.openListener(handle.fd ?? -1, {
    number,
    anyHost: !isLoopback,
    takesProxy: at.takesProxy === true,
    node: at.node ?? usual,
  });
  if (door === undefined) return false;
  replaceListeningHandle(server, new LanesHandle(relay, door, listener));
  closeHandle(handle, isInherited ? undefined : path); // libuv knows no path of what it has not bound.
  return true;
}

/** Whether lanes accept and read the connections of a listener. */
export function isOfLanes({ server }: Listener): boolean {
  return listeningHandleOf(server) instanceof LanesHandle;
}

/** The descriptor of a listener, which stays its own. */
export function descriptorOfListener({ server }: Listener): number | undefined {
  const fd = listeningHandleOf(server)?.fd ?? -1;
  return fd < 0 ? undefined : fd;
}

/** Accepts nobody any more; another process does, which has the socket too. */
export function leaveListener({ server, path, isInherited }: Listener): void {
  const handle = listeningHandleOf(server);
  if (handle instanceof LanesHandle) handle.leave();
  else if (handle) closeHandle(handle, isInherited ? undefined : path);
}

// A time of 0 is none.
function seconds(milliseconds: number): number {
  return milliseconds > 0 ? Math.max(1, Math.floor(milliseconds / 1000)) : longest;
}

/** Connections that lanes read, or have read. */
const read = new WeakMap<Socket, ReadByLane>();

function follow(request: IncomingMessage, response: ServerResponse): void {
  read.get(request.socket)?.follow(response);
}

/** One connection that a lane reads while Node has nothing to answer. */
class ReadByLane implements CountedByLane {
  readonly #relay: NativeRelay;
  readonly #socket: Socket;
  readonly #id: number;
  readonly #connection: Connection;
  #timeAgain: (() => void) | undefined;
  #isNodes = false;
  /** The head of a request that another process is to answer. */
  #unanswered: Buffer | undefined;

  constructor(relay: NativeRelay, socket: Socket, id: number, connection: Connection) {
    this.#relay = relay;
    this.#socket = socket;
    this.#id = id;
    this.#connection = connection;
    connection.onReturned = (how) => this.returned(how);
    read.set(socket, this);
    countByLane(socket, this);
    holdBack(socket, 'lane reads');
  }

  get isRead(): boolean {
    return !this.#isNodes;
  }

  mayAsk(): boolean {
    return this.#relay.mayAsk(this.#id);
  }

  /** Node has the connection, for one request or for good. */
  returned(how: Return): void {
    if (how === 'closed') this.#socket.destroy();
    if (this.#socket.destroyed) return;
    this.#leaveLane();
    try {
      this.take(how, this.#relay.unread(this.#id));
    } catch (error) {
      this.#socket.destroy(error as Error);
    }
  }

  /** Another process answers the request that Node has, and has the connection then. */
  passOn(head: Buffer): void {
    this.#unanswered = head;
    if (this.#isNodes) void passingOnOf(serverOf(this.#socket))?.pass(this.#socket, head);
    else if (!this.#relay.resume(this.#id)) this.returned('handed over'); // Else it is, with what has come behind.
  }

  /** The same, with what the lane has read. */
  take(how: Return, bytes: Buffer): void {
    const passingOn = how === 'handed over' ? passingOnOf(serverOf(this.#socket)) : undefined;
    if (passingOn && !this.#isNodes) {
      const unanswered = this.#unanswered ? Buffer.concat([this.#unanswered, bytes]) : bytes;
      void passingOn.pass(this.#socket, unanswered);
      return;
    }
    if (how !== 'fed') {
      this.#isNodes = true;
      letGo(this.#socket, 'lane reads');
    }
    takeBytes(this.#socket, how, bytes);
  }

  /** The lane reads on when this response has ended. */
  follow(response: ServerResponse): void {
    if (!this.#isNodes) onceEnded(response, () => this.#giveBack());
  }

  /** The lane reads, from its first request on. */
  begin(): void {
    this.#giveBack();
  }

  // Nothing of Node's may be on its way when a lane sends. Where something is, the connection stays Node's.
  #giveBack(): void {
    const socket = this.#socket;
    if (this.#unanswered) return;
    if (this.#isNodes || socket.destroyed || !socket.writable) return;
    const isQuiet = this.#connection.flushed && socket.readableLength === 0 && !isAnswering(socket);
    // What is under way would be mixed with what the lane sends next.
    if (!isQuiet) socket.destroy();
    else if (!this.#relay.resume(this.#id)) this.returned('handed over');
    if (this.#isNodes || socket.destroyed) return;
    this.#timeAgain = stopTime(socket);
    markAnswering(socket, true);
  }

  #leaveLane(): void {
    if (!this.#timeAgain) return;
    markAnswering(this.#socket, false);
    this.#timeAgain();
    this.#timeAgain = undefined;
  }
}

/** What a lane has read is read by Node. */
function takeBytes(socket: Socket, how: Return, bytes: Buffer): void {
  if (how === 'last') {
    linger(socket); // What it has sent behind its last request is nobody's.
    return;
  }
  if (bytes.length > 0) socket.push(bytes);
  if (how === 'late') serverOf(socket)?.emit('clientError', late(), socket);
  else if (how === 'handed over') closeIdleLater(serverOf(socket));
}

// As Node reports a head that is late.
function late(): NodeJS.ErrnoException {
  return Object.assign(new Error('the head of a request took too long'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
}

/** The server that has what lanes accept, and from where that comes. */
type Accepting = { readonly server: Server; readonly relay: NativeRelay; readonly listeners: readonly Listener[] };

function receive(accepting: Accepting, arrival: Arrival): void {
  try {
    welcome(accepting, arrival);
  } catch {
    accepting.relay.closeConnection(arrival.id); // The others are to arrive.
  }
}

function welcome({ server, relay, listeners }: Accepting, { id, how }: Arrival): void {
  const bytes = relay.unread(id);
  // Who has asked for nothing comes when lanes answer no more, which may be before the server is closed. Node would not
  // take it for idle, and wait for it.
  if (bytes.length === 0 && !passingOnOf(server)) {
    relay.closeConnection(id);
    return;
  }
  const taken = relay.take(id);
  if (!taken) return;
  const passingOn = how === 'handed over' ? passingOnOf(server) : undefined;
  if (passingOn) {
    void passingOn.passNewcomer(id, taken, listeners[taken.door], bytes);
    return;
  }
  const { peerKind } = taken;
  const socket = socketOf(server, taken);
  const listener = listeners[taken.door];
  if (listener) noteArrival(socket, listener);
  // Where descriptors are short, the relay has forgotten it: it is like any that Node has accepted.
  const known = peerKind && new ReadByLane(relay, socket, id, new Connection(relay, socket, { id, peerKind }));
  server.emit('connection', socket);
  if (known) known.take(how, bytes);
  else takeBytes(socket, how === 'fed' ? 'handed over' : how, bytes);
}

/**
 * Takes a connection that another process passes on. @param listener where it came from @param relay undefined where lanes
 * read none of these
 */
export function admit(server: Server, by: AdmitBy, handle: object, unanswered: Buffer): void {
  const { listener, relay, number, client } = by;
  const socket = new Socket({ handle, allowHalfOpen: true, readable: true, writable: true } as SocketConstructorOpts);
  const fd = descriptorOf(socket);
  if (client) tellPeer(socket, client.address, client.port);
  countAmong(server, socket);
  if (listener) noteArrival(socket, listener);
  const adopted = relay && fd !== undefined ? relay.adopt(fd, false, -1) : undefined;
  const known = relay && adopted && new ReadByLane(relay, socket, adopted.id, new Connection(relay, socket, adopted));
  const isOneHead = isHeadAlone(unanswered);
  const goesOn = isOneHead || unanswered.length === 0;
  if (adopted && goesOn) relay?.admitConnection(adopted.id, { number, anyHost: listener?.isLoopback === false });
  server.emit('connection', socket);
  if (!known) takeBytes(socket, 'fed', unanswered);
  else if (unanswered.length === 0) known.begin();
  else known.take(isOneHead ? 'fed' : 'handed over', unanswered);
}

type AdmitBy = {
  readonly listener: Listener | undefined;
  readonly relay: NativeRelay | undefined;
  readonly number: number;
  /** Who a proxy has named; undefined: it is who is connected. */
  readonly client?: { readonly address: string; readonly port: number } | undefined;
};

const endOfHead = Buffer.from('\r\n\r\n');

/** Whether bytes are the head of one request without a body, and nothing else. */
function isHeadAlone(bytes: Buffer): boolean {
  const end = bytes.indexOf(endOfHead);
  if (end < 0 || end !== bytes.length - endOfHead.length) return false;
  const head = bytes.toString('latin1');
  return /^(?:GET|HEAD) /.test(head) && !/\r\n(?:content-length|transfer-encoding|upgrade|connection):/i.test(head);
}

/** Has another process answer a request without a body, and all that comes behind it on its connection. */
export function passOnRequest(request: IncomingMessage, target: string): boolean {
  const { socket } = request;
  const passingOn = passingOnOf(serverOf(socket));
  if (!passingOn) return false;
  const head = headOf(request, target);
  const known = read.get(socket);
  if (known) known.passOn(head);
  else void passingOn.pass(socket, head);
  return true;
}

function socketOf(server: Server, { fd, address, port }: Taken): Socket {
  const socket = new Socket({ fd, allowHalfOpen: true, readable: true, writable: true });
  if (address !== unixPeer) tellPeer(socket, address, port);
  countAmong(server, socket);
  return socket;
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
