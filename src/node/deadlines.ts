/** Clients that do not read what they have asked for, or do not send what they have announced. @module */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isHeldBack } from './reading.ts';

/** What Node keeps to itself of a socket: the bytes that the kernel has not taken yet. */
type SocketInternals = { _handle?: { readonly writeQueueSize?: number } | null };

/** So often within the time that is given, progress is looked for. */
const looks = 8;

type Progress = { left: string | undefined; quiet: number };

/**
 * Breaks off connections on which Node's own bytes make no progress for so long: their clients read nothing. Bytes that
 * lanes send are theirs to watch.
 */
export class UnreadAnswers {
  readonly #due = new Map<ServerResponse, Progress>();
  readonly #timer: NodeJS.Timeout;
  readonly #onClose: () => void;

  /** @param onClose is told of each that is broken off */
  constructor(server: Server, seconds: number, onClose: () => void) {
    this.#onClose = onClose;
    // One for all: a timer for each response would cost a microsecond or two.
    this.#timer = setInterval(() => this.#look(), (seconds * 1000) / looks).unref();
    server.once('close', () => clearInterval(this.#timer));
  }

  /** Watches a response until it is out. */
  watch(response: ServerResponse): void {
    this.#due.set(response, { left: undefined, quiet: 0 });
    response.once('close', () => this.#due.delete(response));
  }

  #look(): void {
    for (const [{ socket }, progress] of this.#due) {
      const left = socket ? leftOf(socket) : undefined;
      progress.quiet = left !== undefined && left === progress.left ? progress.quiet + 1 : 0;
      progress.left = left;
      if (progress.quiet < looks || !socket || socket.destroyed) continue;
      this.#onClose();
      socket.destroy();
    }
  }
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
  if (!hasBody(request)) return;
  const { socket } = request;
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
