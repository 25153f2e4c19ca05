/** What servers of comparisons have alike. @module */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Listens on loopback until SIGTERM, and prints where. */
export function listen(server: Server): void {
  server.keepAliveTimeout = 72_000; // as long as Fastify's
  process.once('SIGTERM', () => {
    server.close();
    server.closeAllConnections();
  });
  server.listen(0, '127.0.0.1', () => {
    console.log(`listens on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
}

/** What one plain range asks of `size` bytes, both ends included; of no range, or another, all of them. */
export function askedFor(range: string | undefined, size: number) {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  return {
    isRanged: first !== undefined,
    start: Number(first ?? 0),
    end: Math.min(Number(last ?? size - 1), size - 1),
  };
}
