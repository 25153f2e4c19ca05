import { finished } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Metrics } from './metrics.ts';

/**
 * Logs and counts every request once, when its response has ended one way or the other: also one whose client went
 * away, and one whose bytes Node never saw.
 */
export function watchRequests(app: FastifyInstance, metrics: Metrics): void {
  app.decorateReply('regionBody', undefined);
  app.addHook('onRequest', async (request, reply) => {
    finished(reply.raw, (error) => void report(request, reply, metrics, error));
  });
}

async function report(
  request: FastifyRequest,
  reply: FastifyReply,
  metrics: Metrics,
  error: Error | null | undefined,
): Promise<void> {
  const body = await reply.regionBody;
  const fields = {
    method: request.method,
    url: request.url,
    status: reply.raw.statusCode,
    remoteAddress: request.ip,
    milliseconds: Math.round(reply.elapsedTime * 1000) / 1000,
  };
  metrics.countRequest(request.method, reply.raw.statusCode);
  if (body) request.log.info({ ...fields, ...body }, 'request');
  else request.log.info({ ...fields, outcome: error ? 'aborted' : 'complete' }, 'request');
}
