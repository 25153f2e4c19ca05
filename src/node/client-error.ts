/** Requests that reach no handler are answered with problem documents too, where that is still possible. @module */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { uriReference } from '../http/guard/request-target.ts';
import { type ProblemCode, problemContentType, problemDocument } from '../http/problem/problems.ts';
import { requestOf, responseDue } from './internals.ts';
import { linger } from './lingering.ts';

const http = process.getBuiltinModule('node:http');

/** Node's 'checkExpectation': an Expect that is not 100-continue (RFC 9110 10.1.1). */
export function refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
  const body = JSON.stringify(problemDocument('expectation-failed', undefined, uriReference(request.url)));
  response.writeHead(417, { 'content-type': problemContentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/**
 * Fastify's `clientErrorHandler`: a request that can't be parsed, or does not arrive. It is answered where that is still
 * possible, and the connection ends. Where a response has begun, nothing else may be written any more: it is broken off.
 *
 * @returns whether it was answered
 */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): boolean {
  const due = responseDue(socket);
  const isBroken = error.code === 'ECONNRESET' || !socket.writable || due?.headersSent === true;
  // Else it can be the rest of a request that has been answered before it was read so far.
  const isAnswered = !isBroken && (due !== undefined || requestOf(socket)?.complete !== false);
  if (isBroken) socket.destroy();
  else if (isAnswered) answerUnparsed(error, socket, due?.req.method);
  linger(socket);
  return isAnswered;
}

function answerUnparsed(error: NodeJS.ErrnoException, socket: Socket, method?: string): void {
  const codes: Record<string, ProblemCode> = {
    HPE_HEADER_OVERFLOW: 'headers-too-large',
    ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
  };
  const problem = problemDocument(codes[error.code ?? ''] ?? 'bad-request');
  const body = JSON.stringify(problem);
  const fields = [
    `HTTP/1.1 ${problem.status} ${http.STATUS_CODES[problem.status]}`,
    `date: ${new Date().toUTCString()}`,
    `content-type: ${problemContentType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${fields.join('\r\n')}\r\n\r\n${method === 'HEAD' ? '' : body}`);
}
