/** Clients that do not read what they have asked for, or do not send what they have announced. @module */
import type { IncomingMessage, Server } from 'node:http';
import { Socket } from 'node:net';
import { queuedBytes } from './internals.ts';
import { isHeldBack } from './reading.ts';

/** So often within the time that is given, progress is looked for. */
const looks = 8;

type Progress = { left: string | undefined; quiet: number };

/**
 * Breaks off connections on which Node's own bytes make no progress for so long: their clients read nothing. Bytes that
 * lanes send are theirs to watch.
 *
 * @param onClose is told of each that is broken off
 */
export function boundUnread(server: Server, seconds: number, onClose: () => void): void {
  // By connection, and one timer for all: what is kept of each response would cost each request some microseconds.
  const connections = new Map<Socket, Progress>();
  server.on('connection', (socket: Socket) => {
    connections.set(socket, { left: undefined, quiet: 0 });
    socket.once('close', () => connections.delete(socket));
  });
  const look = () => {
    for (const [socket, progress] of connections) {
      if (!isStuck(socket, progress) || socket.destroyed) continue;
      onClose();
      socket.destroy();
    }
  };
  const timer = setInterval(look, (seconds * 1000) / looks).unref();
  server.once('close', () => clearInterval(timer));
}

function isStuck(socket: Socket, progress: Progress): boolean {
  const left = leftOf(socket);
  progress.quiet = left !== undefined && left === progress.left ? progress.quiet + 1 : 0;
  progress.left = left;
  return progress.quiet >= looks;
}

// What is still to be taken by the kernel; undefined when nothing is.
function leftOf(socket: Socket): string | undefined {
  if (socket.writableLength === 0) return undefined;
  return `${socket.bytesWritten} ${queuedBytes(socket)}`;
}

/**
 * Tells of a request with a body that brings no byte for so long, once. Time in which this side does not read does not count.
 *
 * @param onSilence ends it
 */
export function boundSilence(request: IncomingMessage, seconds: number, onSilence: () => void): void {
  const { socket } = request;
  if (!(socket instanceof Socket)) return; // A request of inject() comes by no connection.
  let [before, quiet] = [socket.bytesRead, 0];
  const stop = () => clearInterval(timer);
  const look = () => {
    if (request.complete || request.readableEnded || socket.destroyed) return stop();
    const isQuiet = socket.bytesRead === before && !socket.isPaused() && !isHeldBack(socket);
    quiet = isQuiet ? quiet + 1 : 0;
    before = socket.bytesRead;
    if (quiet < looks) return;
    stop();
    onSilence();
  };
  const timer = setInterval(look, (seconds * 1000) / looks);
  timer.unref();
  request.once('close', stop);
}

/** Whether a request announces a body (RFC 9112 6). */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
