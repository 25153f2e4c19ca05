/** When a connection is read, where more than one has reasons against it. @module */
import type { Socket } from 'node:net';

/** What Node keeps to itself of a socket. */
type SocketInternals = {
  _handle?: { readonly reading?: boolean; readStop?: () => number; readStart?: () => number } | null;
};

/**
 * Why a socket is not read: a lane sends on it, too many of its requests wait, or it has sent more than is parsed at a
 * time.
 */
export type HeldBackBy = 'lane' | 'waiting requests' | 'unparsed bytes';

const reasons = new WeakMap<Socket, Set<HeldBackBy>>();

/**
 * Has a socket not read until the same reason lets go of it. More than once is once. Not by `pause()`, after which Node
 * goes on reading into the stream's buffer, and which its HTTP server undoes at the end of each request. The handle's
 * flag `reading` stays as it is, so that nobody else starts it.
 */
export function holdBack(socket: Socket, reason: HeldBackBy): void {
  const held = reasons.get(socket) ?? new Set();
  if (held.size === 0) (socket as SocketInternals)._handle?.readStop?.();
  reasons.set(socket, held.add(reason));
}

/** Has a socket read again, when no other reason is against it. */
export function letGo(socket: Socket, reason: HeldBackBy): void {
  const held = reasons.get(socket);
  if (held?.delete(reason) && held.size === 0) readOn(socket);
}

/** Has a socket read whatever is against it. */
export function letGoOfAll(socket: Socket): void {
  if (isHeldBack(socket)) readOn(socket);
  reasons.delete(socket);
}

/** Whether a socket is not read. */
export function isHeldBack(socket: Socket): boolean {
  return (reasons.get(socket)?.size ?? 0) > 0;
}

// Where Node itself has stopped reading, it starts again.
function readOn(socket: Socket): void {
  const { _handle: handle } = socket as SocketInternals;
  if (handle?.reading === true) handle.readStart?.();
}
