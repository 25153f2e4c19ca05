/** The standalone service: an HTTP server of its own over what the plugin is made of. @module */
import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import fastify, { type FastifyInstance, type FastifyRequest, LogController } from 'fastify';
import { addCors, corsOfOrigins } from './http/cors.ts';
import { AllowedHosts } from './http/guard/allowed-hosts.ts';
import { Tokens } from './http/guard/bearer.ts';
import { type Guards, refusalOf } from './http/guard/guard.ts';
import { badFraming, badHost, badVersion, repeatedField, targetPath } from './http/guard/request-target.ts';
import { TrustedProxies, type TrustedProxy } from './http/guard/trusted-proxies.ts';
import { describeRoutes } from './http/openapi/openapi.ts';
import { healthRoute, readinessRoute } from './http/openapi/page.ts';
import { addPageRoutes } from './http/page-routes.ts';
import { answerError, answerErrors } from './http/problem/errors.ts';
import { ProblemError } from './http/problem/problems.ts';
import { fieldsOf, type GivenField } from './http/read/given-fields.ts';
import { addRoutes, refuseOtherMethods } from './http/routes.ts';
import { acceptInLanes } from './lanes.ts';
import { type GivenLimits, type LimitReason, type Limits, settleLimits } from './limits/limits.ts';
import { boundConnections } from './node/bounds.ts';
import { answerClientError } from './node/client-error.ts';
import { Clients } from './node/clients.ts';
import { reportMissing } from './node/feature-test.ts';
import { allowHalfOpen } from './node/internals.ts';
import { boundRate } from './node/least-rate.ts';
import { type ListenAt, type Listener, Listeners } from './node/listeners.ts';
import { MemoryReserve } from './node/memory-reserve.ts';
import { answerInTurn } from './node/turn.ts';
import { type AccessLog, watchRequest } from './observe/access-log.ts';
import { logEngines, logMeans, logRefused } from './observe/engine-log.ts';
import type { LogOutput } from './observe/log-output.ts';
import type { Metrics } from './observe/metrics.ts';
import { isTraced } from './observe/tracing.ts';
import { type Express, type OpenOptions, openPagerelay, type Pagerelay } from './pagerelay.ts';
import { decorate } from './plugin.ts';
import { mostOpen } from './region/catalog.ts';
import type { Report } from './region/change/store.ts';
import { mostDescriptors } from './region/kept-versions.ts';
import { openDescriptors } from './relay/descriptors.ts';
import { NativeRelay } from './relay/native-relay.ts';
import { answerOrPassOn, Succession } from './succession.ts';
import type { Takeover } from './takeover.ts';

const http = process.getBuiltinModule('node:http');

/** What a service serves, and how. Times in seconds. */
export type ServiceOptions = Omit<OpenOptions, 'express' | 'report' | 'lostLines' | 'limits'> &
  GivenLimits & {
    /** Whether lanes answer requests by themselves (docs/express.md). */
    readonly express: boolean;
    /** How long `close` waits for what is in flight. */
    readonly drain: number;
    /** How long the body of a request may bring no byte before the connection is closed. */
    readonly bodyTimeout: number;
    readonly logLevel: string;
    /** The Cache-Control of every answer of a region. */
    readonly cacheControl: string;
    readonly headers: readonly GivenField[];
    /** Where messages go; undefined: to standard output, which blocks where that does. */
    readonly log?: LogOutput | undefined;
    /** Where a line for each request goes; undefined: nowhere. */
    readonly accessLog?: AccessLog | undefined;
    /** Origins whose pages may read regions; `*` is any. */
    readonly cors: readonly string[];
    /** Who is trusted to say for whom they ask; by default nobody is. */
    readonly trustedProxies?: readonly TrustedProxy[];
    /** By which hosts it may be asked on a loopback address, beside those of the loopback; `*` is any. */
    readonly allowHosts: readonly string[];
    /** Files of bearer tokens; undefined: nobody is asked for one. */
    readonly readTokenFile: string | undefined;
    readonly writeTokenFile: string | undefined;
  };

/** A service that is ready to listen. */
export type Service = Pick<Pagerelay, 'relay' | 'catalog' | 'writer'> & {
  readonly app: FastifyInstance;
  /** Where it listens. */
  readonly listeners: () => readonly Listener[];
  /** Listens at all of these places. @throws Error with a `code` when one can't be had */
  listen(places: readonly ListenAt[]): Promise<void>;
  /** For another process that takes this one's place, or is in its place. */
  readonly takeover: Takeover;
  readonly succession: Succession;
  /** Reads the token files again, changed or not. */
  reload(): Promise<void>;
  /**
   * Takes no new connections, waits at most `drain` seconds for what is in flight, breaks off the rest and gives
   * everything back. Resolves to whether nothing was broken off.
   */
  close(): Promise<boolean>;
};

/**
 * Opens the regions and builds the server. Without `dir` and `regions` it serves the built-in region `demo`.
 *
 * @throws SystemError when a region can't be opened; BadName; NameClash; NotWritable; TokenFileError
 */
export function createService(options: ServiceOptions): Service {
  const guards = openGuards(options);
  let log: FastifyInstance['log'] | undefined;
  // Lanes do not tell of the steps of a transmission.
  const express = options.express && !isTraced() ? { mayRead: readingBy(guards) } : undefined;
  const limits = settleLimits(options);
  const report: Report = (message, details) => log?.warn(details, message);
  const opened = openPagerelay({
    ...options,
    express,
    limits,
    report,
    lostLines: () => options.accessLog?.output.lost ?? 0,
  });
  const { relay, catalog, metrics, writer } = opened;
  const app = createServer(options, metrics, limits.elsewhere);
  log = app.log;
  const proxies = new TrustedProxies(options.trustedProxies ?? []);
  const clients = new Clients(limits, (reason) => metrics.countLimited(reason), proxies);
  if (options.accessLog) options.accessLog.clientOf = (peer, headers) => proxies.clientOfRequest(peer, headers);
  const listeners = new Listeners(app.server, relay, proxies);
  app.addHook('preClose', async () => void listeners.close());
  const onCrowd = warnOfCrowd(log);
  const room = boundConnections(app.server, metrics, options, onCrowd, clients);
  boundRate(app.server, limits.elsewhere, () => metrics.countLimited('min_rate')); // which is alike everywhere
  const fields = { cacheControl: options.cacheControl, shared: true, others: fieldsOf(options.headers) };
  for (const output of new Set([options.log, options.accessLog?.output])) {
    if (output) output.onRecovery = (lines) => app.log.warn({ lines }, 'lines of the log were lost');
  }
  watchTokens(guards, log, opened);
  app.addHook('onListen', async () => {
    const own = openDescriptors();
    const others = () => own + Math.max(catalog.openCount, relay.counters().openFiles);
    const mostOthers = own + mostOpen + (catalog.kept ? mostDescriptors : 0);
    const { maxConnections: most, reserveDescriptors } = options;
    room.limit({ most, others, mostOthers, reserveDescriptors, isShort: () => memory.isShort });
    memory.start();
    const guarded = express?.mayRead !== undefined;
    acceptInLanes(app.server, listeners, opened, options, { fields, guarded, room, onCrowd, proxies });
  });
  const succession = new Succession(app, opened, room, listeners);
  const memory = new MemoryReserve(options.reserveMemory, (isShort) => {
    if (relay instanceof NativeRelay) relay.limit({ shortOfMemory: isShort ? 1 : 0 });
    log?.warn(isShort ? 'memory is short: nobody new is let in' : 'there is memory again');
  });
  app.addHook('preClose', async () => memory.stop());
  const whileShort = ({ url }: FastifyRequest) => {
    if (!memory.isShort || !url.startsWith('/regions')) return undefined;
    metrics.countLimited('memory');
    return new ProblemError('busy');
  };
  let draining = false;
  app.addHook('onRequest', (request, reply, done) => {
    watchRequest(request, reply, metrics, options.accessLog);
    done(malformed(request) ?? askedTooOften(clients, request) ?? tooLong(request, limits.elsewhere, metrics));
  });
  // This comes before the guards, so that a page is told why it is refused.
  if (options.cors.length > 0) addRegionCors(app, options.cors);
  app.addHook('onRequest', (request, _, done) =>
    done(whileDraining(request, draining) ?? whileShort(request) ?? refusalOf(guards, request)),
  );
  app.addHook('onReady', async () => {
    await opened.ready();
    logEngines(app.log, await opened.engines());
    logMeans(app.log, opened.writer?.store.tree.means);
  });
  answerErrors(app, answerOrPassOn);
  decorate(app, opened, fields);
  void app.register(async (scope) => {
    answerInTurn(scope);
    describeRoutes(scope);
    addRoutes(scope, opened);
    addHealth(scope, () => readiness(opened, draining));
    const feed = addPageRoutes(scope, opened);
    succession.onLeave = () => feed.endAll();
    for (const tokens of [guards.readTokens, guards.writeTokens]) tokens?.onChange(() => feed.endAll());
  });
  if (relay instanceof NativeRelay) logRefused(app.log, relay.refused);
  reportMissing(app.log, ['pipelining', 'sending', 'accepting']);
  if (relay.portableBecause) app.log.warn({ because: relay.portableBecause }, 'no native shim: every byte is copied');
  return {
    app,
    relay,
    catalog,
    writer,
    listeners: () => listeners.all,
    listen: (places) => listeners.open(app, places),
    takeover: opened.takeover,
    succession,
    async reload() {
      await Promise.all([guards.readTokens?.reload(), guards.writeTokens?.reload()]);
    },
    close() {
      draining = true;
      opened.digests.close();
      opened.publisher?.close();
      guards.readTokens?.close();
      guards.writeTokens?.close();
      return close(app, listeners, opened, options.drain);
    },
  };
}

function openGuards({ allowHosts, readTokenFile, writeTokenFile }: ServiceOptions): Guards {
  const tokens = (path: string | undefined) => (path === undefined ? undefined : Tokens.fromFile(path));
  const hosts = new AllowedHosts(allowHosts);
  return { hosts, readTokens: tokens(readTokenFile), writeTokens: tokens(writeTokenFile) };
}

// Who may write may read.
function readingBy({ readTokens, writeTokens }: Guards): Express['mayRead'] {
  if (!readTokens) return undefined;
  return (authorization) => readTokens.accepts(authorization) || writeTokens?.accepts(authorization) === true;
}

/** Milliseconds between two warnings of the same kind. */
const warnEvery = 60_000;

function warnOfCrowd(log: FastifyInstance['log']): () => void {
  let warnedAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (performance.now() < warnedAt + warnEvery) return;
    warnedAt = performance.now();
    log.warn('no room for a new connection: the one closes that was idle longest, or the new one is refused');
  };
}

function watchTokens({ readTokens, writeTokens }: Guards, log: FastifyInstance['log'], opened: Pagerelay): void {
  for (const tokens of [readTokens, writeTokens]) {
    tokens?.onChange(({ error }) => {
      opened.publisher?.withdraw(); // What lanes may answer, and to whom, was judged with the old ones.
      if (error) log.error({ err: error }, 'no token is valid until the file is mended');
      else log.info('tokens were read again');
    });
  }
}

/** A name has at most 1,024 bytes, each of which may come as three. */
const longestParameter = 4096;

function createServer(
  options: ServiceOptions,
  metrics: Metrics,
  { headTimeout, maxHeadSize }: Limits,
): FastifyInstance {
  const app = fastify({
    logger: { level: options.logLevel, ...(options.log && { stream: options.log }) },
    // One line a request comes from observe/access-log.ts. A logger of each request's own takes as long as finding its route.
    childLoggerFactory: (logger) => logger,
    logController: new LogController({ disableRequestLogging: true }),
    routerOptions: { maxParamLength: longestParameter },
    // No route here has a schema, and Fastify's own compilers of schemas are a tenth of what a start takes.
    schemaController: { compilersFactory: { buildValidator: compileNoSchema, buildSerializer: compileNoSchema } },
    rewriteUrl: ({ url = '/', method }: IncomingMessage) => targetPath(url, method),
    forceCloseConnections: 'idle',
    return503OnClosing: false, // refusal answers with a problem document
    // No hook has seen what the router refuses.
    http: {
      requireHostHeader: false, // badHost answers with a problem document
      maxHeaderSize: maxHeadSize,
      headersTimeout: headTimeout * 1000,
      connectionsCheckingInterval: Math.min(30_000, headTimeout * 250),
    },
    frameworkErrors(error, request, reply) {
      watchRequest(request, reply, metrics, options.accessLog);
      answerError(error, request, reply);
    },
    clientErrorHandler(error, socket) {
      const reason = reasonsOfErrors.get(error.code);
      if (answerClientError(error, socket) && reason) metrics.countLimited(reason);
    },
  });
  // A method which exists elsewhere is a 405 here (RFC 9110 15.5.6), not an unknown address.
  const others = http.METHODS.filter((method) => !app.supportedMethods.includes(method) && method !== 'CONNECT');
  for (const method of others) app.addHttpMethod(method, { hasBody: true });
  allowHalfOpen(app.server);
  return app as unknown as FastifyInstance;
}

/** What Node's parser refuses by a limit. A body that is late is told in another way. */
const reasonsOfErrors: ReadonlyMap<string | undefined, LimitReason> = new Map([
  ['ERR_HTTP_REQUEST_TIMEOUT', 'head_timeout'],
  ['HPE_HEADER_OVERFLOW', 'head_size'],
]);

function compileNoSchema(): never {
  throw new Error('routes of the service have no schemas');
}

/** Whether requests should be sent here, and why not. */
type Readiness = 'ready' | 'draining' | 'tree-moved';

function readiness({ treeWatch }: Pagerelay, draining: boolean): Readiness {
  treeWatch?.look();
  if (draining) return 'draining';
  return treeWatch?.wasThere === false ? 'tree-moved' : 'ready';
}

function addHealth(app: FastifyInstance, readiness: () => Readiness): void {
  app.get('/healthz', { config: { openapi: healthRoute } }, async () => ({ status: 'ok' }));
  app.get('/readyz', { config: { openapi: readinessRoute } }, async (_request, reply) => {
    const status = readiness();
    return reply.code(status === 'ready' ? 200 : 503).send({ status });
  });
  for (const url of ['/healthz', '/readyz']) refuseOtherMethods(app, url);
}

// Pages of other origins may read regions, but not who else does.
function addRegionCors(app: FastifyInstance, origins: readonly string[]): void {
  app.addHook('onRoute', (route) => {
    if (!route.url.startsWith('/regions')) route.config = { ...route.config, cors: false };
  });
  addCors(app, corsOfOrigins(origins));
}

function askedTooOften(clients: Clients, { raw }: FastifyRequest): ProblemError | undefined {
  return clients.mayAsk(raw) ? undefined : new ProblemError('too-many-requests');
}

function tooLong({ originalUrl }: FastifyRequest, { maxUrlSize }: Limits, metrics: Metrics): ProblemError | undefined {
  if (originalUrl.length <= maxUrlSize) return undefined;
  metrics.countLimited('url_size');
  return new ProblemError('uri-too-long');
}

function malformed({ raw }: FastifyRequest): ProblemError | undefined {
  return badVersion(raw) ?? badHost(raw) ?? badFraming(raw) ?? repeatedField(raw);
}

// A draining service refuses what still comes on open connections, and answers those who watch it.
function whileDraining(request: FastifyRequest, draining: boolean): ProblemError | undefined {
  const isLeaseAsked = request.method === 'POST' && request.url.startsWith('/leases');
  return draining && (isLeaseAsked || request.url.startsWith('/regions')) ? new ProblemError('draining') : undefined;
}

const pollMilliseconds = 20;

async function close(app: FastifyInstance, listeners: Listeners, opened: Pagerelay, drain: number): Promise<boolean> {
  const deadline = performance.now() + drain * 1000;
  let closed = false;
  const closing = Promise.all([app.close(), listeners.close()]).then(() => {
    closed = true;
  });
  const inFlight = () => !closed || opened.inFlight();
  while (inFlight() && performance.now() < deadline) {
    await delay(pollMilliseconds);
    app.server.closeIdleConnections();
  }
  const clean = !inFlight();
  app.server.closeAllConnections();
  await closing;
  await opened.close(deadline);
  return clean;
}
