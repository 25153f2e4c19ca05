import { Socket } from 'node:net';
import { hostname } from 'node:os';
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
  const { raw } = reply;
  // A response to inject() has no connection whose end would close it.
  raw.once(raw.socket instanceof Socket || raw.socket === null ? 'close' : 'finish', () => {
    const status = raw.headersSent ? raw.statusCode : undefined;
    metrics.countRequest(request.method, status, reply.regionBody?.engine);
    if (logging === 'log' && request.log.level !== 'silent') void log(request, reply, performance.now() - began);
  });
}

async function log(request: FastifyRequest, reply: FastifyReply, milliseconds: number): Promise<void> {
  const { regionBody, raw } = reply;
  const fields = {
    method: request.method,
    url: request.url,
    status: raw.headersSent ? raw.statusCode : undefined,
    remoteAddress: request.ip,
    milliseconds: Math.round(milliseconds * 1000) / 1000,
  };
  const body = regionBody
    ? { engine: regionBody.engine, ...(await regionBody.sent) }
    : { outcome: raw.writableFinished ? 'complete' : 'aborted' };
  request.log.info({ ...fields, ...body }, 'request');
}

/** What stands in a line of a lane's answer before its time, and between that and its number (native-shim/core/http/accesslog.c). */
export function lineOfLanes(): { readonly beforeTime: string; readonly behindTime: string } {
  const name = JSON.stringify(hostname());
  return { beforeTime: '{"level":30,"time":', behindTime: `,"pid":${process.pid},"hostname":${name},"reqId":"lane-` };
}
