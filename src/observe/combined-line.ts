/** Lines in the combined format of nginx and Apache. Lanes write the same (native-shim/core/http/accesslog.c). @module */
import type { FastifyReply } from 'fastify';

/** What a line says besides what its request says by itself. */
export type Answered = {
  readonly remoteAddress: string;
  /** Undefined where the client went away before a head was out. */
  readonly status: number | undefined;
  /** How many of a region's bytes were sent. */
  readonly bytes: number | undefined;
};

/** What nginx says of a client that went away unanswered. */
const clientClosed = 499;

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** One line, with its end. */
export function combinedLine(reply: FastifyReply, answered: Answered): string {
  const { request } = reply;
  const { referer, 'user-agent': userAgent } = request.headers;
  const asked = `${request.method} ${request.originalUrl} HTTP/${request.raw.httpVersion}`;
  const { remoteAddress, status = clientClosed, bytes = bodyBytes(reply) } = answered;
  const quoted = [referer, userAgent].map((value) => `"${value === undefined ? '-' : escapeBytes(value)}"`);
  return `${remoteAddress} - - [${timeOf(new Date())}] "${escapeBytes(asked)}" ${status} ${bytes} ${quoted.join(' ')}\n`;
}

/** What Node tells of a client comes as one character a byte. Nothing in it may end a quotation or a line. */
function escapeBytes(text: string): string {
  const escapeOne = (character: string) => `\\x${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  return text.replace(/[^ !#-[\]-~]/g, escapeOne);
}

/** The time in UTC. */
function timeOf(date: Date): string {
  const [day, time] = date.toISOString().split('T') as [string, string];
  const [year, month, dayOfMonth] = day.split('-');
  return `${dayOfMonth}/${months[Number(month) - 1]}/${year}:${time.slice(0, 8)} +0000`;
}

// The length of a body that is no region's; a dash where it was not told, or not all of it was sent.
function bodyBytes(reply: FastifyReply): number | string {
  const { headersSent, statusCode, writableFinished } = reply.raw;
  if (!headersSent || reply.request.method === 'HEAD' || statusCode === 304 || statusCode === 204) return 0;
  const length = reply.getHeader('content-length');
  return length !== undefined && writableFinished ? Number(length) : '-';
}
