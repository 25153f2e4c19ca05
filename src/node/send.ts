/** Sends one held transmission as a response's body. @module */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { HeldTransmission } from '../http/read/way-out.ts';
import { onceEnded } from '../observe/response-end.ts';
import type { Outcome, Sent } from '../relay/relay.ts';
import type { Connection } from './connection.ts';
import { responseDue, takeHead } from './internals.ts';

/** The shim's limit for a head that goes out natively; Node writes a longer one. */
const longestHead = 32 * 1024;

/** What `WayOut.answer` does. */
export function sendHeld(
  connection: Connection,
  held: HeldTransmission,
  response: ServerResponse,
  fields: OutgoingHttpHeaders,
): Sent | Promise<Sent> {
  try {
    response.writeHead(response.statusCode, fields);
    // What has put itself in place of writeHead can have taken Content-Length away, to send another body.
    if (response.chunkedEncoding) throw new Error('a body of known length can not be sent in chunks');
    // The usual case: nothing of Node's is queued, so the head can go natively, in one packet with the body.
    const head = takeHeadFor(connection, response);
    const sent =
      head === undefined ? sendBehindHead(connection, held, response) : send(connection, held, response, head);
    return sent instanceof Promise ? sent.catch((error) => giveUp(connection, held, response, 'failed', error)) : sent;
  } catch (error) {
    return giveUp(connection, held, response, 'failed', error); // A head that Node refuses, or a relay that is gone.
  }
}

async function sendBehindHead(connection: Connection, held: HeldTransmission, response: ServerResponse): Promise<Sent> {
  connection.relay.onUnwanted(held.transmission, () => response.destroy());
  if ((await headIsOut(response)) && connection.flushed) return send(connection, held, response, '');
  return giveUp(connection, held, response, response.destroyed ? 'aborted' : 'failed');
}

function giveUp(
  { relay }: Connection,
  { transmission }: HeldTransmission,
  response: ServerResponse,
  outcome: Outcome,
  error?: unknown,
): Sent {
  relay.release(transmission, outcome);
  response.destroy();
  return { outcome, code: (error as NodeJS.ErrnoException | undefined)?.code, bytes: 0 };
}

function send(
  connection: Connection,
  { transmission, plan, trace }: HeldTransmission,
  response: ServerResponse,
  head: string,
): Sent | Promise<Sent> {
  trace?.sending();
  const sent = connection.send(transmission, head, plan.length);
  return sent instanceof Promise ? sent.then((late) => end(response, late)) : end(response, sent);
}

function end(response: ServerResponse, sent: Sent): Sent {
  if (sent.outcome === 'complete') response.end();
  else response.destroy();
  return sent;
}

function takeHeadFor(connection: Connection, response: ServerResponse): string | undefined {
  return isCurrent(response) && connection.flushed ? takeHead(response, longestHead) : undefined;
}

// The callback of an empty write comes when all that was queued before is with the kernel.
function headIsOut(response: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    onceEnded(response, () => resolve(false));
    response.write('', 'latin1', (error) => resolve(!error && isCurrent(response)));
  });
}

function isCurrent(response: ServerResponse): boolean {
  const { socket } = response;
  return socket?.writable === true && responseDue(socket) === response;
}
