/** One line for each request that was answered: Node's, and the frame of those that lanes write by themselves. @module */
import type { IncomingHttpHeaders } from 'node:http';
import { Socket } from 'node:net';
import { hostname } from 'node:os';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Responding } from '../relay/publication.ts';
import type { Engine, Sent } from '../relay/relay.ts';
import { combinedLine } from './combined-line.ts';
import type { LogOutput } from './log-output.ts';
import type { Metrics } from './metrics.ts';
import { onceEnded } from './response-end.ts';

/** A region's bytes on their way out. */
export type OutgoingBody = { readonly engine: Engine; readonly sent: Sent | Promise<Sent> };

declare module 'fastify' {
  interface FastifyReply {
    /** The region's bytes that this reply sends, once it does. */
    regionBody: OutgoingBody | undefined;
  }
}

/** How lines are written: as JSON, or as nginx and Apache call `combined`. */
export const accessLogFormats = ['json', 'combined'] as const;
export type AccessLogFormat = (typeof accessLogFormats)[number];

/** What a line of JSON says of a request, in this order. */
type Entry = {
  readonly reqId: string;
  readonly method: string;
  readonly url: string;
  readonly status: number | undefined;
  readonly remoteAddress: string;
  readonly milliseconds: number;
} & Partial<Sent> & { readonly engine?: Engine };

// What stands before the time, and behind it. Lanes write the same (native-shim/core/http/accesslog.c).
const beforeTime = '{"level":30,"time":';
const behindTime = `,"pid":${process.pid},"hostname":${JSON.stringify(hostname())},`;

/** Where lines of requests go, and how they are written. */
export class AccessLog {
  readonly output: LogOutput;
  readonly format: AccessLogFormat;
  /** Who asks, of an address (undefined at a unix socket) and what X-Forwarded-For says there. */
  clientOf: ((peer: string | undefined, headers: IncomingHttpHeaders) => string | undefined) | undefined;

  constructor(output: LogOutput, format: AccessLogFormat) {
    this.output = output;
    this.format = format;
  }

  writeJson(entry: Entry): void {
    const members = JSON.stringify({ ...entry, msg: 'request' }).slice(1);
    this.output.write(`${beforeTime}${Date.now()}${behindTime}${members}\n`);
  }
}

/** Responses that another process gives, and logs. */
const unlogged = new WeakSet<object>();

/** Another process answers this request: it is that one's to count and to log. */
export function leaveUnlogged({ raw }: FastifyReply): void {
  unlogged.add(raw);
}

/** How lanes log; without a log they write nothing. */
export function logOfLanes(
  log: AccessLog | undefined,
): Pick<Responding, 'log' | 'combined' | 'beforeTime' | 'behindTime'> {
  const combined = log?.format === 'combined';
  return { log: log?.output.native, combined, beforeTime, behindTime: `${behindTime}"reqId":"lane-` };
}

/**
 * Counts a request, and logs it, when its response has ended in whichever way, also where Node has not seen its bytes.
 *
 * @param log undefined where the service writes none, and in the plugin, whose application has its own
 */
export function watchRequest(
  request: FastifyRequest,
  reply: FastifyReply,
  metrics: Metrics,
  log: AccessLog | undefined,
): void {
  const began = log && performance.now();
  const { raw } = reply;
  // A socket that is closed does not tell it any more, and a unix socket has none: nginx calls it so.
  const remoteAddress = log && clientOf(log, request);
  const end = () => {
    if (unlogged.has(raw)) return;
    const status = raw.headersSent ? raw.statusCode : undefined;
    metrics.countRequest(request.method, status, reply.regionBody?.engine);
    if (log && began !== undefined && remoteAddress !== undefined)
      void write(log, reply, remoteAddress, performance.now() - began);
  };
  // A response to inject() has no connection whose end would close it.
  if (raw.socket instanceof Socket || raw.socket === null) onceEnded(raw, end);
  else raw.once('finish', end);
}

function clientOf(log: AccessLog, { ip, headers, raw }: FastifyRequest): string | undefined {
  const client = log.clientOf ? log.clientOf(ip, headers) : ip;
  return client ?? (raw.socket.destroyed ? undefined : 'unix:');
}

async function write(log: AccessLog, reply: FastifyReply, remoteAddress: string, milliseconds: number): Promise<void> {
  const { request, regionBody, raw } = reply;
  const sent = await regionBody?.sent;
  const status = raw.headersSent ? raw.statusCode : undefined;
  if (log.format === 'combined') {
    log.output.write(combinedLine(reply, { remoteAddress, status, bytes: sent?.bytes }));
    return;
  }
  log.writeJson({
    reqId: request.id,
    method: request.method,
    url: request.url,
    status,
    remoteAddress,
    milliseconds: Math.round(milliseconds * 1000) / 1000,
    ...(regionBody && sent
      ? { engine: regionBody.engine, outcome: sent.outcome, code: sent.code, bytes: sent.bytes }
      : { outcome: raw.writableFinished ? 'complete' : 'aborted' }),
  });
}
