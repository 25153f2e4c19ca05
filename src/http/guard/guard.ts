/** Who may ask for what. @module */
import type { FastifyRequest } from 'fastify';
import { ProblemError } from '../problem/problems.ts';
import type { AllowedHosts } from './allowed-hosts.ts';
import { arrivedBy } from './arrived-by.ts';
import type { Tokens } from './bearer.ts';

/** What a service is guarded by. */
export type Guards = {
  /** By which hosts a service on the loopback may be asked. */
  readonly hosts: AllowedHosts;
  readonly readTokens: Tokens | undefined;
  readonly writeTokens: Tokens | undefined;
};

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** Routes that tell of regions and of those who read them. */
const guarded: ReadonlySet<string> = new Set([
  '/regions',
  '/regions/*',
  '/references',
  '/leases',
  '/leases/:id',
  '/metrics',
  '/page/live',
]);

/** What every listener serves: regions, and what load balancers ask for. */
const everywhere: ReadonlySet<string> = new Set(['/regions', '/regions/*', '/healthz', '/readyz']);

/**
 * What a request is refused with.
 *
 * @returns `misdirected`, `route-not-found`, `unauthorized`; undefined when it may go on
 */
export function refusalOf(guards: Guards, request: FastifyRequest): ProblemError | undefined {
  return misdirected(guards, request) ?? notHere(request) ?? unauthorized(guards, request);
}

// As of an address that nothing is served at: whoever asks is not told that there is anything elsewhere.
function notHere({ raw, routeOptions }: FastifyRequest): ProblemError | undefined {
  const isServed = arrivedBy(raw.socket)?.servesAll ?? true;
  return isServed || everywhere.has(routeOptions.url ?? '') ? undefined : new ProblemError('route-not-found');
}

/** What load balancers ask, by whatever host; it tells of nothing that the page of a stranger may not know. */
const probed: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

// A page in somebody's browser can have a name of its own resolve to this machine, and is of one origin with us then.
function misdirected({ hosts }: Guards, request: FastifyRequest): ProblemError | undefined {
  if (hosts.allows(request.headers.host) || probed.has(request.routeOptions.url ?? '')) return undefined;
  if (!isBoundToLoopback(request)) return undefined;
  const detail = 'A service on the loopback answers to names of the loopback alone; --allow-host NAME allows others.';
  return new ProblemError('misdirected', { detail });
}

// No browser asks a unix socket; who does is a proxy, or has chosen what it sends as Host. What has come by no listener
// is a test's.
function isBoundToLoopback({ raw }: FastifyRequest): boolean {
  return arrivedBy(raw.socket)?.isLoopback ?? true;
}

function unauthorized(guards: Guards, request: FastifyRequest): ProblemError | undefined {
  const { readTokens, writeTokens } = guards;
  const { authorization } = request.headers;
  if (!readTokens && !writeTokens) return undefined;
  if (request.method === 'OPTIONS' || !guarded.has(request.routeOptions.url ?? '')) return undefined;
  if (!safeMethods.has(request.method)) {
    const tokens = writeTokens ?? readTokens;
    return tokens && !tokens.accepts(authorization) ? refused(authorization) : undefined;
  }
  // Who may write may read.
  if (!readTokens || readTokens.accepts(authorization) || writeTokens?.accepts(authorization)) return undefined;
  return refused(authorization);
}

// RFC 6750 3: without credentials no error code is given.
function refused(authorization: string | undefined): ProblemError {
  const error = authorization === undefined ? '' : ', error="invalid_token"';
  return new ProblemError('unauthorized', { headers: { 'www-authenticate': `Bearer realm="pagerelay"${error}` } });
}
