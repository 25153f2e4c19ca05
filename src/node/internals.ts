/**
 * All that is used of Node's objects and is not documented, each behind a function of its own. feature-test.ts tries what
 * they rely on when a service starts. Seen to work with Node 22.19, 24.21 and 26.10.
 *
 * @module
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { type AddressInfo, isIPv6, type Server as NetServer, Socket } from 'node:net';

const http = process.getBuiltinModule('node:http');

/** By what a socket or a server of Node's talks to libuv. */
type Handle = {
  readonly fd?: number;
  readonly writeQueueSize?: number;
  readonly reading?: boolean;
  readStart?(): number;
  readStop?(): number;
};

/** By what a server listens: what Node asks of it. */
export type ListeningHandle = {
  readonly fd?: number;
  readonly getsockname?: ((into: object) => number) | undefined;
  close(callback?: () => void): void;
  ref(): void;
  unref(): void;
  hasRef?(): boolean;
};

export type Finish = (error?: Error | null) => void;

type SocketInternals = {
  _handle?: Handle | null;
  _final?(this: Socket, callback: Finish): void;
  _httpMessage?: unknown;
  readonly _paused?: boolean;
  _peername?: AddressInfo;
  _server?: Server;
  server?: Server;
  readonly parser?: { readonly incoming?: unknown } | null;
};

type ResponseInternals = { readonly _header?: string | null; _headerSent?: boolean };

type ServerInternals = { _handle?: ListeningHandle | null; _connections?: number; httpAllowHalfOpen?: boolean };

function socketInternals(socket: object): SocketInternals {
  return socket;
}

function serverInternals(server: object): ServerInternals {
  return server;
}

/** Whether a handle of a socket has all that is used of one. */
export function isKnownHandle(handle: object | null | undefined): handle is Required<Handle> {
  const { fd, writeQueueSize, reading, readStart, readStop } = (handle ?? {}) as Handle;
  const numbers = typeof fd === 'number' && typeof writeQueueSize === 'number' && typeof reading === 'boolean';
  return numbers && typeof readStart === 'function' && typeof readStop === 'function';
}

/** The handle of a socket. */
export function handleOf(socket: Socket): object | null | undefined {
  return socketInternals(socket)._handle;
}

/** The descriptor of a plain TCP socket; undefined for TLS, pipes and what is no socket at all. */
export function descriptorOf(socket: unknown): number | undefined {
  if (!(socket instanceof Socket) || 'encrypted' in socket || socket.destroyed) return undefined;
  const handle = handleOf(socket);
  return isKnownHandle(handle) && handle.fd >= 0 && socket.remoteFamily !== undefined ? handle.fd : undefined;
}

/** Bytes that libuv has been given and the kernel has not taken. */
export function queuedBytes(socket: Socket): number | undefined {
  return socketInternals(socket)._handle?.writeQueueSize;
}

/** Whether Node reads from a socket, or would if nobody had stopped it by `stopReading`. */
export function isReading(socket: Socket): boolean {
  return socketInternals(socket)._handle?.reading === true;
}

/**
 * Has Node read no more from a socket. Not by `pause()`, after which Node goes on reading into the stream's buffer, and
 * which its HTTP server undoes at the end of each request. The handle's flag `reading` stays as it is, so that nobody
 * else starts it.
 */
export function stopReading(socket: Socket): void {
  socketInternals(socket)._handle?.readStop?.();
}

/** Undoes `stopReading`. Where Node itself has stopped reading, it starts again. */
export function startReading(socket: Socket): void {
  if (isReading(socket)) socketInternals(socket)._handle?.readStart?.();
}

/** Whether a socket's parser must be given nothing: its HTTP server waits until what was written is out. */
export function isParserPaused(socket: Socket): boolean {
  return socketInternals(socket)._paused === true;
}

const listenerNames = { data: 'bound socketOnData', end: 'bound socketOnEnd' } as const;

/** The listener by which Node's HTTP server parses what a socket receives. */
export function parserOf(socket: Socket, event: 'data' | 'end'): ((...values: unknown[]) => void) | undefined {
  const found = socket.listeners(event).find(({ name }) => name === listenerNames[event]);
  return found as ((...values: unknown[]) => void) | undefined;
}

/** The request that a socket's parser is in, or was in last. */
export function requestOf(socket: Socket): IncomingMessage | undefined {
  const request = socketInternals(socket).parser?.incoming;
  return request instanceof http.IncomingMessage ? request : undefined;
}

/** The response whose turn it is on a socket. */
export function responseDue(socket: Socket): ServerResponse | undefined {
  const response = socketInternals(socket)._httpMessage;
  return response instanceof http.ServerResponse ? response : undefined;
}

/** Whether Node's HTTP server takes a socket for one on which a response is under way. */
export function isAnswering(socket: Socket): boolean {
  return Boolean(socketInternals(socket)._httpMessage);
}

// What Node's HTTP server asks of a response that it takes for one under way (closeIdleConnections, 'timeout').
const underWay = Object.freeze({ finished: false, _headerSent: true, emit: () => false });

/** Has Node's HTTP server take an idle socket for one on which a response is under way, or for idle again. */
export function markAnswering(socket: Socket, isAnswering: boolean): void {
  socketInternals(socket)._httpMessage = isAnswering ? underWay : null;
}

/** Takes the head of a response that Node has made and not written, for the caller to send; undefined where there is none. */
export function takeHead(response: ServerResponse, longest: number): string | undefined {
  const internals = response as object as ResponseInternals;
  const { _header: head, _headerSent: isSent } = internals;
  if (isSent !== false || !head || head.length >= longest) return undefined;
  internals._headerSent = true;
  return head;
}

/** Has `final` end the sending side of a socket, where Node would do so at once. */
export function replaceFinal(socket: Socket, final: (this: Socket, callback: Finish) => void): void {
  socketInternals(socket)._final = final;
}

/** Ends the sending side of a socket, as Node does. */
export function finalize(socket: Socket, callback: Finish): void {
  socketInternals(Socket.prototype)._final?.call(socket, callback);
}

/** Whether `finalize` is how Node ends a socket. */
export function canFinalize(): boolean {
  return typeof socketInternals(Socket.prototype)._final === 'function';
}

/** The server that has accepted a socket. */
export function serverOf(socket: Socket): Server | undefined {
  return socketInternals(socket).server;
}

/** Whether a handle has all that a server asks of the one that it listens by. */
export function isKnownListener(handle: object | null | undefined): handle is Required<ListeningHandle> {
  const { fd, getsockname, close, ref, unref, hasRef } = (handle ?? {}) as Partial<ListeningHandle>;
  return typeof fd === 'number' && [getsockname, close, ref, unref, hasRef].every((each) => typeof each === 'function');
}

/** The handle that a server listens by. */
export function listeningHandleOf(server: NetServer): ListeningHandle | undefined {
  return serverInternals(server)._handle ?? undefined;
}

/** Whether a server counts its connections in the way that `countAmong` does. */
export function countsConnections(server: Server): boolean {
  return typeof serverInternals(server)._connections === 'number';
}

/** Has a server close, and tell its address, by another handle. */
export function replaceListeningHandle(server: NetServer, handle: ListeningHandle): void {
  serverInternals(server)._handle = handle;
}

/** Makes a socket one of a server's own, as if it had accepted it: its `close` waits for it. */
export function countAmong(server: Server, socket: Socket): void {
  Object.assign(socketInternals(socket), { server, _server: server });
  const internals = serverInternals(server);
  internals._connections = (internals._connections ?? 0) + 1;
}

/** Tells a socket where its peer is. Of one that is gone the kernel does not say it any more. */
export function tellPeer(socket: Socket, address: string, port: number): void {
  socketInternals(socket)._peername = { address, port, family: isIPv6(address) ? 'IPv6' : 'IPv4' };
}

/** Has a client that has said all it has to say (FIN) still get its whole response. */
export function allowHalfOpen(server: Server): void {
  serverInternals(server).httpAllowHalfOpen = true;
}
