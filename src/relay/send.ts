/** Sends one held transmission as a response's body. @module */
import type { ServerResponse } from 'node:http';
import type { Connection } from './connection.ts';
import type { NativeRelay } from './native-relay.ts';
import type { Sent, TransmissionId } from './relay.ts';

/** What Node keeps to itself of a response; undocumented, and the same since Node 0.x. */
type ResponseInternals = { _header: string | null; _headerSent: boolean };

/**
 * Sends the head that `writeHead` has stored in `response`, then the `length` held bytes, and ends the response. When anything
 * fails, the connection is broken off: it is never ended cleanly short of its Content-Length, and no byte of another
 * response can follow. Never rejects.
 */
export async function sendHeld(
  relay: NativeRelay,
  connection: Connection,
  response: ServerResponse,
  transmission: TransmissionId,
  length: number,
): Promise<Sent> {
  const head = takeHead(response, connection);
  if (head === undefined && !((await headIsOut(response)) && connection.flushed)) {
    const outcome = response.destroyed ? 'aborted' : 'failed';
    relay.release(transmission, outcome);
    response.destroy();
    return { outcome, code: undefined, bytes: 0 };
  }
  const sent = await connection.send(transmission, head ?? '', length);
  if (sent.outcome === 'complete') response.end();
  else response.destroy();
  return sent;
}

// The usual case: nothing of Node's is queued, so the head can go natively, in one packet with the body.
function takeHead(response: ServerResponse, connection: Connection): string | undefined {
  const internals = response as unknown as ResponseInternals;
  if (!isCurrent(response) || !connection.flushed || internals._headerSent || !internals._header) return undefined;
  internals._headerSent = true;
  return internals._header;
}

// Else Node writes it. The callback of an empty write comes when all that was queued before is with the kernel.
function headIsOut(response: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    response.once('close', () => resolve(false));
    response.write('', 'latin1', (error) => resolve(!error && isCurrent(response)));
  });
}

function isCurrent(response: ServerResponse): boolean {
  const socket = response.socket as (ServerResponse['socket'] & { _httpMessage?: unknown }) | null;
  return socket !== null && !socket.destroyed && socket._httpMessage === response;
}
