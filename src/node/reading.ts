/** When a connection is read, where more than one has reasons against it. @module */
import type { Socket } from 'node:net';
import { startReading, stopReading } from './internals.ts';

/**
 * Why a socket is not read: a lane sends on it, a lane reads it, too many of its requests wait, it has sent more than is
 * parsed at a time, or another process reads it.
 */
export type HeldBackBy = 'lane' | 'lane reads' | 'waiting requests' | 'unparsed bytes' | 'passed on';

const reasons = new WeakMap<Socket, Set<HeldBackBy>>();

/** Has a socket not read until the same reason lets go of it. More than once is once. */
export function holdBack(socket: Socket, reason: HeldBackBy): void {
  const held = reasons.get(socket) ?? new Set();
  if (held.size === 0) stopReading(socket);
  reasons.set(socket, held.add(reason));
}

/** Has a socket read again, when no other reason is against it. */
export function letGo(socket: Socket, reason: HeldBackBy): void {
  const held = reasons.get(socket);
  if (held?.delete(reason) && held.size === 0) startReading(socket);
}

/** Has a socket read whatever is against it. */
export function letGoOfAll(socket: Socket): void {
  if (isHeldBack(socket)) startReading(socket);
  reasons.delete(socket);
}

/** Whether a socket is not read. */
export function isHeldBack(socket: Socket): boolean {
  return (reasons.get(socket)?.size ?? 0) > 0;
}

/** Stops the timer of a socket, which sees no progress of native bytes. Returns what sets it as it was. */
export function stopTime(socket: Socket): () => void {
  const timeout = socket.timeout ?? 0;
  socket.setTimeout(0);
  return () => socket.setTimeout(timeout);
}
