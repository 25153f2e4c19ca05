import { finished } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Engine, Sent } from '../relay/relay.ts';
import type { Metrics } from './metrics.ts';

/** A region's bytes on their way out. */
export type OutgoingBody = { readonly engine: Engine; readonly sent: Promise<Sent> };

declare module 'fastify' {
  interface FastifyReply {
    /** The region's bytes that this reply sends, once it does. */
    regionBody: OutgoingBody | undefined;
  }
}

/** Whether a request's line is written here (the service), or is the application's own affair (the plugin). */
export type Logging = 'log' | 'count';

/**
 * Counts a request once, and logs it, when its response has ended one way or the other: also one whose client went
 * away, and one whose bytes Node never saw.
 */
export function watchRequest(request: FastifyRequest, reply: FastifyReply, metrics: Metrics, logging: Logging): void {
  const began = performance.now();
  finished(reply.raw, (error) => {
    metrics.countRequest(request.method, reply.raw.statusCode);
    if (logging === 'log') void log(request, reply, performance.now() - began, Boolean(error));
  });
}

async function log(
  request: FastifyRequest,
  reply: FastifyReply,
  milliseconds: number,
  aborted: boolean,
): Promise<void> {
  const fields = {
    method: request.method,
    url: request.url,
    status: reply.raw.statusCode,
    remoteAddress: request.ip,
    milliseconds: Math.round(milliseconds * 1000) / 1000,
  };
  const { regionBody } = reply;
  const body = regionBody
    ? { engine: regionBody.engine, ...(await regionBody.sent) }
    : { outcome: aborted ? 'aborted' : 'complete' };
  request.log.info({ ...fields, ...body }, 'request');
}
