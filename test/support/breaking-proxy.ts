/** A TCP proxy that breaks connections in the middle. @module */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Scope } from './scope.ts';

/** After how many bytes towards the client, and how: by a FIN, or by a reset. */
export type Break = { readonly after: number; readonly by: 'end' | 'reset' };

/** A proxy that listens. */
export type BreakingProxy = {
  readonly origin: string;
  /** What each connection has sent. */
  readonly sent: readonly string[];
};

/**
 * Starts one before a port. Each connection is broken as the next of `breaks` says; those after the last are left whole.
 *
 * @param onBreak is called before the client can notice
 */
export async function startBreakingProxy(
  scope: Scope,
  port: number,
  breaks: readonly Break[],
  onBreak: () => void = () => {},
): Promise<BreakingProxy> {
  const sent: string[] = [];
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    const turn = sent.push('') - 1;
    client.on('data', (chunk: Buffer) => {
      sent[turn] += chunk.toString('latin1');
      upstream.write(chunk);
    });
    passBack(upstream, client, breaks[turn], onBreak);
    closeTogether(scope, upstream, client);
  }).listen(0, '127.0.0.1');
  scope.after(() => server.close());
  await once(server, 'listening');
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sent };
}

function passBack(upstream: Socket, client: Socket, limit: Break | undefined, onBreak: () => void): void {
  let left = limit?.after ?? Number.POSITIVE_INFINITY;
  client.on('drain', () => upstream.resume());
  upstream.on('data', (chunk: Buffer) => {
    if (left === 0) return;
    const passed = chunk.subarray(0, left);
    left -= passed.length;
    if (left > 0) {
      if (!client.write(passed)) upstream.pause();
      return;
    }
    onBreak();
    client.write(passed, () => (limit?.by === 'reset' ? client.resetAndDestroy() : client.destroy()));
  });
}

function closeTogether(scope: Scope, upstream: Socket, client: Socket): void {
  for (const [socket, other] of [[upstream, client] as const, [client, upstream] as const]) {
    socket.on('error', () => {});
    socket.on('close', () => other.destroy());
    scope.after(() => socket.destroy());
  }
}
