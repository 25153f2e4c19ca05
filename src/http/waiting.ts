import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Patience } from '../region/in-place.ts';
import { preferredWait } from './prefer.ts';

/** Seconds that a change waits for its pages when the client does not say, and at most. */
const usualWait = 10;
const longestWait = 300;

/** What a client's patience is: `Prefer: wait=N`, and its connection. */
export function patienceOf(request: FastifyRequest, reply: FastifyReply): Patience {
  const seconds = Math.min(preferredWait(request.headers) ?? usualWait, longestWait);
  const gone = new AbortController();
  const { raw } = reply;
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort();
  });
  return { deadline: performance.now() + seconds * 1000, signal: gone.signal };
}

/** Preference-Applied (RFC 7240 3), where the client said how long it would wait. */
export function tellWait(request: FastifyRequest, reply: FastifyReply): void {
  const seconds = preferredWait(request.headers);
  if (seconds !== undefined) reply.header('preference-applied', `wait=${Math.min(seconds, longestWait)}`);
}
