/** A Fastify application with pagerelay in it, on a port of its own. @module */
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { type PagerelayOptions, pagerelay } from '../../src/plugin.ts';
import type { Relay } from '../../src/relay/relay.ts';

import { until } from './poll.ts';
import type { Scope } from './scope.ts';

/** What listens, whatever protocol it speaks. */
export type Listener = {
  listen(options: { host: string; port: number }): Promise<string>;
  close(): PromiseLike<unknown>;
  readonly server: { address(): AddressInfo | string | null; closeAllConnections?(): void };
};

/** An application that listens. */
export type RunningApp = { readonly app: FastifyInstance; readonly port: number };

/** What a relay did by one way or the other: bytes by engine, bodies by thread. */
export type Carried = {
  readonly native: number;
  readonly stream: number;
  readonly inline: number;
  readonly lane: number;
};

/** Few lanes, and short waits at the end of a test. */
export const quick = { lanes: 1, drain: 1 } as const;

/** Has an application listen, and closes it and its connections when the test ends. */
export async function listen(scope: Scope, app: Listener): Promise<number> {
  scope.after(async () => {
    const closing = app.close();
    app.server.closeAllConnections?.(); // One that never asked for anything would be waited for.
    await closing;
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  return (app.server.address() as AddressInfo).port;
}

/** Starts an application with pagerelay in its root scope; `build` adds what a user would, after it. */
export async function startApp(
  scope: Scope,
  options: PagerelayOptions,
  build: (app: FastifyInstance) => unknown = () => {},
  server: FastifyServerOptions = {},
): Promise<RunningApp> {
  const app = fastify(server);
  await app.register(pagerelay, { ...quick, ...options });
  await build(app);
  return { app, port: await listen(scope, app) };
}

/** A route of the application's own: `/mine` is the region `model.bin`. */
export function serveModel(app: FastifyInstance): void {
  app.get('/mine', (_, reply) => reply.sendRegion('model.bin'));
}

/** What a relay has carried so far. */
export function carriedBy(relay: Relay): Carried {
  const { sentBytes, inlineSends, laneSends } = relay.counters();
  return {
    native: sentBytes.sendfile + sentBytes.splice,
    stream: sentBytes.stream,
    inline: inlineSends,
    lane: laneSends,
  };
}

/** Waits until a relay holds nothing. */
export async function untilNothingHeld(relay: Relay): Promise<void> {
  const held = () => {
    const { references, heldBytes, quarantined } = relay.counters();
    return references + heldBytes + quarantined;
  };
  await until(
    () => held() === 0,
    'nothing is held',
    () => relay.counters(),
  );
}
