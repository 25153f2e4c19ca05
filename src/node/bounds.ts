/** How the service's own server treats its connections: one request at a time, with deadlines, and no early reset. @module */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { LimitReason } from '../limits/limits.ts';
import type { Metrics } from '../observe/metrics.ts';
import { answerClientError, refuseExpectation } from './client-error.ts';
import type { Clients } from './clients.ts';
import { boundSilence, boundUnread, hasBody } from './deadlines.ts';
import { boundRest, closeLingering } from './lingering.ts';
import { answerOneByOne } from './pipeline.ts';
import { Room } from './room.ts';

/** Times in seconds. */
export type ConnectionLimits = {
  /** How long a response may make no progress. */
  readonly maxHold: number;
  /** How long the body of a request may bring no byte. */
  readonly bodyTimeout: number;
};

/**
 * Bounds what a connection can cost that sends without reading, or announces what it does not send.
 *
 * @param onCrowd is told when one closes for want of room
 * @param clients says how many connections each of them may have
 * @returns how many there are is bounded by
 */
export function boundConnections(
  server: Server,
  metrics: Metrics,
  { maxHold, bodyTimeout }: ConnectionLimits,
  onCrowd: () => void,
  clients: Clients,
): Room {
  answerOneByOne(server, closeLingering, () => metrics.countClosed('pipelining'));
  boundUnread(server, maxHold, () => metrics.countClosed('unread'));
  const bound = (request: IncomingMessage, response: ServerResponse) => {
    if (!hasBody(request)) return;
    boundRest(request, response, () => metrics.countClosed('rest'));
    boundSilence(request, bodyTimeout, () => {
      metrics.countClosed('silent');
      answerClientError(silence(), request.socket);
    });
  };
  server.prependListener('request', bound);
  server.prependListener('checkExpectation', bound);
  server.on('checkExpectation', refuseExpectation);
  // A body is asked for when it is known to be wanted (http/write/writing-routes.ts).
  server.on('checkContinue', (request, response) => server.emit('request', request, response));
  const onLimited = (what: LimitReason) => {
    metrics.countLimited(what);
    onCrowd();
  };
  return new Room(server, onLimited, clients);
}

// As Node reports a request that is late as a whole.
function silence(): NodeJS.ErrnoException {
  return Object.assign(new Error('the body of a request brought no byte'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
}
