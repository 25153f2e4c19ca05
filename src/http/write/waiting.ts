import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Patience } from '../../region/change/lease.ts';
import { preferredWait } from './prefer.ts';

/** Seconds that a change waits for its pages when the client does not say, and at most. */
const usualWait = 10;
const longestWait = 300;

type HalfClosed = 'stays' | 'is gone';

/**
 * What a client's patience is: `Prefer: wait=N`, and its connection.
 *
 * @param halfClosed whether one that sends no more (FIN) still waits for its answer. A process that dies looks the same.
 */
export function patienceOf(request: FastifyRequest, reply: FastifyReply, halfClosed: HalfClosed = 'stays'): Patience {
  const seconds = Math.min(preferredWait(request.headers) ?? usualWait, longestWait);
  let gone: AbortController | undefined;
  return {
    deadline: performance.now() + seconds * 1000,
    // Most never wait, and then nobody asks.
    get signal() {
      gone ??= watchClient(request, reply, halfClosed);
      return gone.signal;
    },
  };
}

function watchClient(request: FastifyRequest, reply: FastifyReply, halfClosed: HalfClosed): AbortController {
  const gone = new AbortController();
  const { raw } = reply;
  const { socket } = request.raw;
  const leave = () => gone.abort();
  if (raw.destroyed || socket.destroyed) leave();
  if (halfClosed === 'is gone') {
    if (socket.readableEnded) leave();
    socket.once('end', leave);
  }
  raw.once('close', () => {
    socket.removeListener('end', leave);
    if (!raw.writableFinished) leave();
  });
  return gone;
}

/** Preference-Applied (RFC 7240 3), where the client said how long it would wait. */
export function tellWait(request: FastifyRequest, reply: FastifyReply): void {
  const seconds = preferredWait(request.headers);
  if (seconds !== undefined) reply.header('preference-applied', `wait=${Math.min(seconds, longestWait)}`);
}
