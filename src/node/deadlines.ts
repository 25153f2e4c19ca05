/** Clients that do not read what they have asked for, or do not send what they have announced. @module */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isHeldBack } from './reading.ts';

/** What Node keeps to itself of a socket: the bytes that the kernel has not taken yet. */
type SocketInternals = { _handle?: { readonly writeQueueSize?: number } | null };

/** So often within the time that is given, progress is looked for. */
const looks = 8;

/**
 * Breaks off a connection on which Node's own bytes make no progress for so long: its client reads nothing. Bytes that
 * lanes send are theirs to watch.
 *
 * @param onClose is told of it
 */
export function boundUnread(response: ServerResponse, seconds: number, onClose: () => void): void {
  const { socket } = response;
  if (!socket) return;
  let [before, quiet] = ['', 0];
  const timer = setInterval(
    () => {
      const left = leftOf(socket);
      quiet = left !== undefined && left === before ? quiet + 1 : 0;
      before = left ?? '';
      if (quiet < looks || socket.destroyed) return;
      onClose();
      socket.destroy();
    },
    (seconds * 1000) / looks,
  );
  timer.unref();
  response.once('close', () => clearInterval(timer));
}

// What is still to be taken by the kernel; undefined when nothing is.
function leftOf(socket: Socket): string | undefined {
  if (socket.writableLength === 0) return undefined;
  return `${socket.bytesWritten} ${(socket as SocketInternals)._handle?.writeQueueSize}`;
}

/**
 * Tells of a request whose body brings no byte for so long, once. Time in which this side does not read does not count.
 *
 * @param onSilence ends it
 */
export function boundSilence(request: IncomingMessage, seconds: number, onSilence: () => void): void {
  const { headers, socket } = request;
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  if (!hasBody) return;
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
