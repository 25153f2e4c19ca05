/** Every error answer of the service is a problem document. @module */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
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

/** Answers errors of routes, unknown routes and closing with problem documents. @param answer does so for errors of routes */
export function answerErrors(app: FastifyInstance, answer: typeof answerError = answerError): void {
  app.setErrorHandler(answer);
  app.setNotFoundHandler((request, reply) => answerProblem(request, reply, new ProblemError('route-not-found')));
}

/** Also Fastify's `frameworkErrors`: what it refuses before a route is found. */
export function answerError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(error, request);
  if (worthReporting.has(problem.code)) request.log.error({ ...idOf(request), err: error }, problem.message);
  answerProblem(request, reply, problem);
}

// A logger of the request's own says it already.
function idOf({ id, log, server }: FastifyRequest) {
  return log === server.log ? { reqId: id } : {};
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
  // What is said of a client is of no one address.
  const instance = problem.code === 'too-many-requests' ? undefined : uriReference(request.url);
  const document = problemDocument(problem.code, problem.detail, instance);
  // A buffer: to a string of JSON the framework would add a charset, which this media type has none of (RFC 9457 3).
  const body = Buffer.from(JSON.stringify(document));
  reply.code(problem.status).headers(problem.headers).header('content-type', problemContentType).send(body);
}
