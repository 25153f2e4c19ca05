/** Asking for a lease as a process on this machine does. @module */

/**
 * Asks for a lease on the first 64 pages of the region `file`, and for at most so many seconds. Gives the status of the
 * answer.
 */
export async function askForLease(port: number, seconds: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/leases`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: `wait=${seconds}` },
    body: JSON.stringify({ region: 'file', first: 0, last: 64 * 4096 - 1, ttlSeconds: 100 }),
  });
  await response.arrayBuffer();
  return response.status;
}
