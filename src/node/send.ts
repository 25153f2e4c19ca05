/** Sends one held transmission as a response's body. @module */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { HeldTransmission } from '../http/read/way-out.ts';
import type { NativeRelay } from '../relay/native-relay.ts';
import type { Sent } from '../relay/relay.ts';
import type { Connection } from './connection.ts';
import { responseDue, takeHead } from './internals.ts';

/** The shim's limit for a head that goes out natively; Node writes a longer one. */
const longestHead = 32 * 1024;

/** A held transmission, the relay that holds it, and the connection that it goes out on. */
export type HeldForConnection = HeldTransmission & { readonly relay: NativeRelay; readonly connection: Connection };

/** What `WayOut.answer` does. */
export async function sendHeld(
  held: HeldForConnection,
  response: ServerResponse,
  fields: OutgoingHttpHeaders,
): Promise<Sent> {
  try {
    response.writeHead(response.statusCode, fields);
    // The usual case: nothing of Node's is queued, so the head can go natively, in one packet with the body.
    const head = takeHeadFor(held.connection, response) ?? (await headByNode(held, response));
    return head === undefined ? giveUp(held, response) : await sendBody(held, response, head);
  } catch (error) {
    // A head that Node refuses, or a relay that is gone.
    held.relay.release(held.transmission, 'failed');
    response.destroy();
    return { outcome: 'failed', code: (error as NodeJS.ErrnoException).code, bytes: 0 };
  }
}

function giveUp({ relay, transmission }: HeldForConnection, response: ServerResponse): Sent {
  const outcome = response.destroyed ? 'aborted' : 'failed';
  relay.release(transmission, outcome);
  response.destroy();
  return { outcome, code: undefined, bytes: 0 };
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

// Else Node writes it, and nothing is left to be sent of it; undefined where it is not out, or something else is in the way.
async function headByNode({ relay, connection, transmission }: HeldForConnection, response: ServerResponse) {
  relay.onUnwanted(transmission, () => response.destroy());
  return (await headIsOut(response)) && connection.flushed ? '' : undefined;
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
