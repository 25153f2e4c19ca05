/** The standalone service: a relay, a catalog and an HTTP server over them. @module */
import type { Server } from 'node:http';
import { BlockList } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import fastify, { type FastifyInstance, LogController } from 'fastify';
import { answerClientError, answerError, answerErrors } from './http/errors.ts';
import { Outgoing } from './http/outgoing.ts';
import { ProblemError } from './http/problems.ts';
import { addRoutes } from './http/routes.ts';
import { watchRequests } from './observe/access-log.ts';
import { Metrics } from './observe/metrics.ts';
import { Catalog, type NamedFile } from './region/catalog.ts';
import { type Demo, makeDemo } from './region/demo.ts';
import { Connections } from './relay/connection.ts';
import type { EngineChoice } from './relay/engine.ts';
import { NativeRelay } from './relay/native-relay.ts';
import { openRelay, type RelayOptions } from './relay/open-relay.ts';
import type { Relay } from './relay/relay.ts';

/** Addresses of peers that this kernel can't be asked about. */
export type AddressBlock = { readonly address: string; readonly prefix: number; readonly family: 'ipv4' | 'ipv6' };

/** What a service serves, and how. Times in seconds. */
export type ServiceOptions = RelayOptions & {
  readonly dir: string | undefined;
  readonly regions: readonly NamedFile[];
  readonly engine: EngineChoice;
  readonly unaskable: readonly AddressBlock[];
  /** How long `close` waits for what is in flight. */
  readonly drain: number;
  readonly logLevel: string;
};

/** A service that is ready to listen. */
export type Service = {
  readonly app: FastifyInstance;
  readonly relay: Relay;
  readonly catalog: Catalog;
  /**
   * Takes no new connections, waits until nothing is in flight or `drain` seconds have passed, breaks off the rest and
   * gives everything back. Resolves to whether nothing had to be broken off.
   */
  close(): Promise<boolean>;
};

/**
 * Opens the regions and builds the server. Without `dir` and `regions` it serves the built-in region `demo`.
 *
 * @throws SystemError when a region can't be opened; NameClash
 */
export function createService(options: ServiceOptions): Service {
  const relay = openRelay(options);
  const nothingGiven = options.dir === undefined && options.regions.length === 0;
  const demo = nothingGiven ? makeDemo(relay) : undefined;
  const files = demo ? [demo.file] : options.regions;
  const catalog = new Catalog(relay, { dir: options.dir, files });
  const outgoing = new Outgoing(relay, connectionsOf(relay, options), options.engine, options.maxHold);
  const metrics = new Metrics(relay);
  const app = createServer(options.logLevel);
  let draining = false;
  watchRequests(app, metrics);
  answerErrors(app);
  refuseWhile(() => draining, app);
  addRoutes(app, { catalog, outgoing, metrics, draining: () => draining });
  if (relay.portableBecause) app.log.warn({ because: relay.portableBecause }, 'no native shim: every byte is copied');
  return {
    app,
    relay,
    catalog,
    close() {
      draining = true;
      return close(app, relay, demo, options.drain);
    },
  };
}

function connectionsOf(relay: Relay, options: ServiceOptions): Connections | undefined {
  if (!(relay instanceof NativeRelay)) return undefined;
  const unaskable = new BlockList();
  for (const { address, prefix, family } of options.unaskable) unaskable.addSubnet(address, prefix, family);
  return new Connections(relay, unaskable);
}

/** A name has at most 1,024 bytes, each of which may come as three. */
const longestParameter = 4096;

function createServer(logLevel: string): FastifyInstance {
  const app = fastify({
    logger: { level: logLevel },
    // One line a request comes from observe/access-log.ts.
    logController: new LogController({ disableRequestLogging: true }),
    routerOptions: { maxParamLength: longestParameter },
    forceCloseConnections: 'idle',
    return503OnClosing: false, // refuseWhile answers with a problem document
    frameworkErrors: answerError,
    clientErrorHandler: answerClientError,
  });
  // A client that has said all it has to say (FIN) still gets its whole response.
  (app.server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
  return app as unknown as FastifyInstance;
}

// What still comes on open connections while the service drains. Those who watch it are answered to the end.
function refuseWhile(draining: () => boolean, app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    if (draining() && request.url.startsWith('/regions')) throw new ProblemError('draining');
  });
}

const pollMilliseconds = 20;

async function close(app: FastifyInstance, relay: Relay, demo: Demo | undefined, drain: number): Promise<boolean> {
  const deadline = performance.now() + drain * 1000;
  let closed = false;
  const closing = app.close().then(() => {
    closed = true;
  });
  const inFlight = () => !closed || relay.references().some(({ state }) => state !== 'quarantined');
  while (inFlight() && performance.now() < deadline) {
    await delay(pollMilliseconds);
    app.server.closeIdleConnections();
  }
  const clean = !inFlight();
  app.server.closeAllConnections();
  await closing;
  relay.close();
  demo?.close();
  return clean;
}
