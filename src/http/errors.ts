/** Every error answer of the service is a problem document. @module */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ProblemCode, ProblemError, problemContentType, problemDocument } from './problems.ts';
import { problemOfSystem } from './system-problems.ts';

const codesOfStatus: Record<number, ProblemCode> = {
  400: 'bad-request',
  404: 'route-not-found',
  405: 'method-not-allowed',
  408: 'request-timeout',
  413: 'payload-too-large',
  414: 'uri-too-long',
  503: 'draining',
};

/** Answers errors of routes, unknown routes and closing with problem documents. */
export function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) => answerProblem(request, reply, new ProblemError('route-not-found')));
}

/** Also Fastify's `frameworkErrors`: what it refuses before a route is found. */
export function answerError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(error);
  if (problem.status >= 500 && problem.code !== 'draining') request.log.error({ err: error }, problem.message);
  answerProblem(request, reply, problem);
}

function problemOf(error: Error): ProblemError {
  const known = problemOfSystem(error);
  if (known instanceof ProblemError) return known;
  // A name that is no valid percent-encoding names nothing (RFC 3986 2.4).
  if ('code' in error && error.code === 'FST_ERR_BAD_URL') return new ProblemError('route-not-found', { cause: error });
  const status = 'statusCode' in error ? Number(error.statusCode) : 500;
  const code = codesOfStatus[status] ?? (status >= 400 && status < 500 ? 'bad-request' : 'internal');
  return new ProblemError(code, { cause: error });
}

function answerProblem(request: FastifyRequest, reply: FastifyReply, problem: ProblemError): void {
  const document = problemDocument(problem.code, problem.detail, request.url);
  // A buffer: to a string of JSON the framework would add a charset, which this media type has none of (RFC 9457 3).
  const body = Buffer.from(JSON.stringify(document));
  reply.code(problem.status).headers(problem.headers).header('content-type', problemContentType).send(body);
}

/**
 * Fastify's `clientErrorHandler`: a request that can't be parsed, or does not arrive. Once a response has begun on the
 * connection nothing may be written into it: it is only broken off.
 */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  const begun = (socket as Socket & { _httpMessage?: { headersSent?: boolean } | null })._httpMessage;
  if (begun || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const codes: Record<string, ProblemCode> = {
    HPE_HEADER_OVERFLOW: 'headers-too-large',
    ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
  };
  const problem = problemDocument(codes[error.code ?? ''] ?? 'bad-request');
  const body = JSON.stringify(problem);
  const fields = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    `date: ${new Date().toUTCString()}`,
    `content-type: ${problemContentType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${fields.join('\r\n')}\r\n\r\n${body}`);
}
