/** Every error answer of the service is a problem document. @module */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { linger } from '../../node/lingering.ts';
import { uriReference } from '../guard/request-target.ts';
import { type ProblemCode, ProblemError, problemContentType, problemDocument } from './problems.ts';
import { problemOfSystem } from './system-problems.ts';

const codesOfStatus: Record<number, ProblemCode> = {
  400: 'bad-request',
  404: 'route-not-found',
  405: 'method-not-allowed',
  408: 'request-timeout',
  413: 'payload-too-large',
  414: 'uri-too-long',
  415: 'unsupported-media-type',
  503: 'draining',
};

/** What someone who reads the log should look into. */
const worthReporting: ReadonlySet<ProblemCode> = new Set(['internal', 'busy', 'no-space']);

/** Answers errors of routes, unknown routes and closing with problem documents. */
export function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) => answerProblem(request, reply, new ProblemError('route-not-found')));
}

/** Also Fastify's `frameworkErrors`: what it refuses before a route is found. */
export function answerError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(error, request);
  if (worthReporting.has(problem.code)) request.log.error({ err: error }, problem.message);
  answerProblem(request, reply, problem);
}

function problemOf(error: Error, request: FastifyRequest): ProblemError {
  const known = problemOfSystem(error);
  if (known instanceof ProblemError) return known;
  if ('code' in error && error.code === 'FST_ERR_BAD_URL')
    return new ProblemError(badAddress(request), { cause: error });
  const status = 'statusCode' in error ? Number(error.statusCode) : 500;
  const code = codesOfStatus[status] ?? (status >= 400 && status < 500 ? 'bad-request' : 'internal');
  return new ProblemError(code, { cause: error });
}

// What is no valid percent-encoding of UTF-8 names nothing (RFC 3986 2.4), and is refused before a route is found.
function badAddress({ url, method }: FastifyRequest): ProblemCode {
  if (!url.startsWith('/regions/')) return 'route-not-found';
  return method === 'PUT' || method === 'PATCH' || method === 'DELETE' ? 'bad-name' : 'region-not-found';
}

/** What is worth another try: a client that takes such a body for the range that it asked for would keep it. */
const passing: ReadonlySet<number> = new Set([429, 503]);

function answerProblem(request: FastifyRequest, reply: FastifyReply, problem: ProblemError): void {
  if (passing.has(problem.status) && request.headers.range !== undefined) {
    reply.code(problem.status).headers(problem.headers).header('content-length', 0).send();
    return;
  }
  const document = problemDocument(problem.code, problem.detail, uriReference(request.url));
  // A buffer: to a string of JSON the framework would add a charset, which this media type has none of (RFC 9457 3).
  const body = Buffer.from(JSON.stringify(document));
  reply.code(problem.status).headers(problem.headers).header('content-type', problemContentType).send(body);
}

/** Node's 'checkExpectation': an Expect that is not 100-continue (RFC 9110 10.1.1). */
export function refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
  const body = JSON.stringify(problemDocument('expectation-failed', undefined, uriReference(request.url)));
  response.writeHead(417, { 'content-type': problemContentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** The response whose turn it is, and the request that is read. */
type HttpSocket = Socket & {
  _httpMessage?: ServerResponse | null;
  parser?: { readonly incoming?: IncomingMessage | null } | null;
};

/**
 * Fastify's `clientErrorHandler`: a request that can't be parsed, or does not arrive. It is answered where that is still
 * possible, and the connection ends. Where a response has begun, nothing else may be written any more: it is broken off.
 */
export function answerClientError(error: NodeJS.ErrnoException, socket: HttpSocket): void {
  const due = socket._httpMessage;
  if (error.code === 'ECONNRESET' || !socket.writable || due?.headersSent) socket.destroy();
  else if (due || socket.parser?.incoming?.complete !== false) answerUnparsed(error, socket, due?.req.method);
  // Else the rest of a request that has been answered before it was read so far.
  linger(socket);
}

function answerUnparsed(error: NodeJS.ErrnoException, socket: HttpSocket, method?: string): void {
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
  socket.end(`${fields.join('\r\n')}\r\n\r\n${method === 'HEAD' ? '' : body}`);
}
