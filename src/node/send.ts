/** Sends one held transmission as a response's body. @module */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { HeldTransmission } from '../http/read/way-out.ts';
import type { NativeRelay } from '../relay/native-relay.ts';
import type { Outcome, Sent } from '../relay/relay.ts';
import type { Connection } from './connection.ts';
import { responseDue, takeHead } from './internals.ts';

/** The shim's limit for a head that goes out natively; Node writes a longer one. */
const longestHead = 32 * 1024;

/** A held transmission, the relay that holds it, and the connection that it goes out on. */
export type HeldForConnection = HeldTransmission & { readonly relay: NativeRelay; readonly connection: Connection };

/** What `WayOut.answer` does. */
export function sendHeld(
  held: HeldForConnection,
  response: ServerResponse,
  fields: OutgoingHttpHeaders,
): Sent | Promise<Sent> {
  const fail = (error: unknown) => giveUp(held, response, 'failed', (error as NodeJS.ErrnoException).code);
  try {
    response.writeHead(response.statusCode, fields);
    // What has put itself in place of writeHead can have taken Content-Length away, to send another body.
    if (response.chunkedEncoding) throw new Error('a body of known length can not be sent in chunks');
    // The usual case: nothing of Node's is queued, so the head can go natively, in one packet with the body.
    const head = takeHeadFor(held.connection, response);
    const sending = head === undefined ? sendBehindHead(held, response) : sendBody(held, response, head);
    return sending instanceof Promise ? sending.catch(fail) : sending;
  } catch (error) {
    return fail(error); // A head that Node refuses, or a relay that is gone.
  }
}

async function sendBehindHead(held: HeldForConnection, response: ServerResponse): Promise<Sent> {
  if (await headByNode(held, response)) return sendBody(held, response, '');
  return giveUp(held, response, response.destroyed ? 'aborted' : 'failed', undefined);
}

function giveUp(
  { relay, transmission }: HeldForConnection,
  response: ServerResponse,
  outcome: Outcome,
  code: string | undefined,
): Sent {
  relay.release(transmission, outcome);
  response.destroy();
  return { outcome, code, bytes: 0 };
}

function sendBody(held: HeldForConnection, response: ServerResponse, head: string): Sent | Promise<Sent> {
  held.sending?.();
  const sending = held.connection.send(held.transmission, head, held.length);
  const end = (sent: Sent) => {
    if (sent.outcome === 'complete') response.end();
    else response.destroy();
    return sent;
  };
  return sending instanceof Promise ? sending.then(end) : end(sending);
}

function takeHeadFor(connection: Connection, response: ServerResponse): string | undefined {
  return isCurrent(response) && connection.flushed ? takeHead(response, longestHead) : undefined;
}

// Else Node writes it: whether it is out, and nothing else is in the way.
async function headByNode({ relay, connection, transmission }: HeldForConnection, response: ServerResponse) {
  relay.onUnwanted(transmission, () => response.destroy());
  return (await headIsOut(response)) && connection.flushed;
}

// The callback of an empty write comes when all that was queued before is with the kernel.
function headIsOut(response: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    response.once('close', () => resolve(false));
    response.write('', 'latin1', (error) => resolve(!error && isCurrent(response)));
  });
}

function isCurrent(response: ServerResponse): boolean {
  const { socket } = response;
  return socket?.writable === true && responseDue(socket) === response;
}
