/**
 * Closing a connection on which the client is still sending. The kernel answers bytes that nobody has read, or that come
 * after a close, by a reset, and a client that gets one loses the answer that it has not read yet. So the sending side is
 * closed first, and what still comes is read and thrown away for a while (RFC 9112 9.6).
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { onceEnded } from '../observe/response-end.ts';
import { type Pipeline, pipelineOf } from './pipeline.ts';
import { letGoOfAll } from './reading.ts';

/** For how long, and for how many bytes, a client that is still sending is waited for. */
export type LingerLimits = {
  readonly milliseconds: number;
  readonly silentMilliseconds: number;
  readonly bytes: number;
};

const usualLimits: LingerLimits = { milliseconds: 30_000, silentMilliseconds: 5000, bytes: 2 ** 30 };

/** How often the rest of a body is looked at. */
const lookMilliseconds = 100;

/**
 * Bounds what comes of a request behind the response to it, on a connection that stays open: Node reads it and throws it
 * away, for as long as it comes.
 *
 * @param onClose is told when it is closed
 */
export function boundRest(
  request: IncomingMessage,
  response: ServerResponse,
  onClose: () => void,
  limits = usualLimits,
): void {
  const { socket } = request;
  onceEnded(response, () => {
    if (request.complete || socket.destroyed) return;
    const [from, until] = [socket.bytesRead, performance.now() + limits.milliseconds];
    const timer = setInterval(() => {
      const isOver = request.complete || socket.destroyed;
      const isMuch = performance.now() > until || socket.bytesRead - from > limits.bytes;
      if (isOver || isMuch) clearInterval(timer);
      if (!isMuch || isOver) return;
      onClose();
      socket.destroy();
    }, lookMilliseconds);
    timer.unref();
  });
}

/** Has Node's own closing of a connection, behind its last response, wait for the client where that may be sending. */
export function closeLingering(socket: Socket, pipeline: Pipeline): void {
  const { destroySoon } = socket;
  socket.destroySoon = () => {
    const isError = (pipeline.response?.statusCode ?? 0) >= 400;
    if (isError || pipeline.expectsMore) linger(socket);
    else destroySoon.call(socket);
  };
}

/** Ends a connection once what was written is out, and the client has stopped sending or was waited for long enough. */
export function linger(socket: Socket, limits = usualLimits): void {
  const pipeline = pipelineOf(socket);
  if (pipeline?.isDiscarding) return;
  if (!pipeline) {
    socket.destroySoon();
    return;
  }
  if (socket.destroyed) return;
  if (socket.writable) socket.end();
  const late = setTimeout(() => socket.destroy(), limits.milliseconds);
  const silent = setTimeout(() => socket.destroy(), limits.silentMilliseconds);
  let bytes = 0;
  pipeline.discard((length) => {
    silent.refresh();
    bytes += length;
    if (bytes > limits.bytes) socket.destroy();
  });
  socket.once('close', () => {
    clearTimeout(late);
    clearTimeout(silent);
  });
  if (socket.readableEnded) destroyWhenOut(socket);
  else socket.once('end', () => destroyWhenOut(socket));
  letGoOfAll(socket);
  socket.resume();
}

function destroyWhenOut(socket: Socket): void {
  if (socket.writableFinished) socket.destroy();
  else socket.once('finish', () => socket.destroy());
}
