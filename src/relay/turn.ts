import { once } from 'node:events';
import { ServerResponse } from 'node:http';

/** Whether the connection is at this response: the usual case, in which nothing has to be waited for. */
export function hasTurn(response: unknown): boolean {
  return !(response instanceof ServerResponse) || response.socket !== null;
}

/**
 * Waits until the connection is at this response. Handlers of pipelined requests all run at once; pages are held only
 * from a response's own turn on.
 *
 * @returns false when the client went away first
 */
export async function itsTurn(response: unknown): Promise<boolean> {
  if (!(response instanceof ServerResponse) || hasTurn(response)) return true;
  if (response.closed || response.destroyed) return false;
  const closed = new AbortController();
  response.once('close', () => closed.abort());
  try {
    await once(response, 'socket', { signal: closed.signal });
    return true;
  } catch {
    return false;
  }
}
