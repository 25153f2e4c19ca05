/** A TCP proxy that stops in the middle of what clients download, until something has been done to the region. @module */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Scope } from './scope.ts';

/** When the gate closes, what is done then, and what becomes of the connections that are open. */
export type Gate = {
  /** Bytes that clients have been sent by then, heads among them. */
  readonly after: number;
  /** Nothing goes to or from any client while this runs. */
  readonly act: () => Promise<unknown>;
  /** Whether connections are broken when the gate closes; else they go on when it opens again. */
  readonly breaks: boolean;
};

/** A proxy that listens. */
export type GatedProxy = {
  readonly origin: string;
  /** How many GETs have come since the gate has opened again; undefined while it has not. */
  asked(): number | undefined;
};

/** Starts one before a port. Its gate closes once. */
export async function startGatedProxy(scope: Scope, port: number, gate: Gate): Promise<GatedProxy> {
  const opened = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  let state: 'before' | 'closed' | 'opened' = 'before';
  let [passed, asked] = [0, 0];
  const destroyAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const close = async () => {
    state = 'closed';
    if (gate.breaks) destroyAll();
    await gate.act();
    state = 'opened';
  };
  const unlessClosed = () => (state === 'closed' ? opened.promise : undefined);
  const onAnswer = (chunk: Buffer) => {
    passed += chunk.length;
    if (state === 'before' && passed >= gate.after) close().then(opened.resolve, opened.reject);
  };
  const onRequest = (chunk: Buffer) => {
    if (state === 'opened') asked += chunk.toString('latin1').match(/^GET \S+ HTTP\//gm)?.length ?? 0;
  };
  const server = createServer({ allowHalfOpen: true }, async (client) => {
    sockets.add(client);
    client.on('error', () => {});
    await unlessClosed();
    const upstream = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    sockets.add(upstream);
    upstream.on('error', () => {});
    const requests = pump(client, upstream, async (chunk) => {
      await unlessClosed();
      onRequest(chunk);
      upstream.write(chunk);
    });
    const answers = pump(upstream, client, async (chunk) => {
      await unlessClosed();
      if (!client.write(chunk)) await Promise.race([once(client, 'drain'), once(client, 'close')]);
      onAnswer(chunk);
    });
    await Promise.allSettled([requests, answers]);
    client.destroy();
    upstream.destroy();
  }).listen(0, '127.0.0.1');
  opened.promise.catch(() => {}); // Whoever waits for it hears of it.
  scope.after(() => {
    server.close();
    destroyAll();
  });
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => (state === 'opened' ? asked : undefined),
  };
}

async function pump(from: Socket, to: Socket, pass: (chunk: Buffer) => Promise<void>): Promise<void> {
  for await (const chunk of from.iterator({ destroyOnReturn: false })) await pass(chunk as Buffer);
  to.end();
}
