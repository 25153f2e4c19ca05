/** Sends one held transmission as a response's body. @module */
import type { ServerResponse } from 'node:http';
import type { Connection } from './connection.ts';
import type { NativeRelay } from './native-relay.ts';
import type { Outcome, TransmissionId } from './relay.ts';

/** How a body went out. */
export type Sent = { readonly outcome: Outcome; readonly code: string | undefined };

/**
 * Sends a head that is already written into `response` (writeHead), then the held bytes, and ends the response. When
 * anything fails after the head, the connection is broken off: it is never ended cleanly short of its Content-Length,
 * and no byte of another response can follow. Never rejects.
 */
export async function sendHeld(
  relay: NativeRelay,
  connection: Connection,
  response: ServerResponse,
  transmission: TransmissionId,
): Promise<Sent> {
  if (!(await headIsOut(response)) || !connection.flushed) {
    const outcome = response.destroyed ? 'aborted' : 'failed';
    relay.release(transmission, outcome);
    response.destroy();
    return { outcome, code: undefined };
  }
  const end = await connection.send(transmission);
  if (end.outcome === 'complete') response.end();
  else response.destroy();
  return end;
}

// The callback of an empty write comes when all that this response and those before it had queued is with the kernel.
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
