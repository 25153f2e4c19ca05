/** The turns of pipelined requests, on servers whose connections are not answered one by one (pipeline.ts). @module */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { holdBack, letGo } from './reading.ts';

const http = process.getBuiltinModule('node:http');

/** Whether the connection is at this response: the usual case, in which nothing has to be waited for. */
export function hasTurn(response: unknown): boolean {
  return !(response instanceof http.ServerResponse) || response.socket !== null;
}

/** So many responses of a connection may wait before no more of its requests are read: waiting ones cost memory. */
const mostWaiting = 64;

const waiting = new WeakMap<Socket, number>();

function count(socket: Socket, change: 1 | -1): void {
  const now = (waiting.get(socket) ?? 0) + change;
  waiting.set(socket, now);
  if (now > mostWaiting) holdBack(socket, 'waiting requests');
  else letGo(socket, 'waiting requests');
}

/**
 * Waits until the connection is at this response. Handlers of pipelined requests all run at once; pages are held only
 * from a response's own turn on.
 *
 * @returns false when the client went away first
 */
export async function itsTurn(response: unknown): Promise<boolean> {
  if (!(response instanceof http.ServerResponse) || hasTurn(response)) return true;
  if (response.closed || response.destroyed) return false;
  const { socket } = response.req;
  const closed = new AbortController();
  response.once('close', () => closed.abort());
  // Node 22 closes no response that has not had its turn; the request's end it tells of.
  response.req.once('close', () => {
    if (socket.destroyed) closed.abort();
  });
  count(socket, 1);
  try {
    await once(response, 'socket', { signal: closed.signal });
    return true;
  } catch {
    return false;
  } finally {
    count(socket, -1);
  }
}

/** Has each request of a scope wait for its turn: what it costs, and what it changes, comes after those before it. */
export function answerInTurn(scope: FastifyInstance): void {
  scope.addHook('onRequest', (_request, reply, done) => {
    if (hasTurn(reply.raw)) return done();
    void itsTurn(reply.raw).then((isHere) => (isHere ? done() : reply.hijack()));
  });
}
