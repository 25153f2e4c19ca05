/** The addresses of regions. @module */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Metrics } from '../observe/metrics.ts';
import type { Catalog } from '../region/catalog.ts';
import type { TreeWatch } from '../region/tree-watch.ts';
import { listRoute, metricsRoute, readRoute, referencesRoute } from './openapi/regions.ts';
import { ProblemError } from './problem/problems.ts';
import { listReferences } from './read/list-references.ts';
import { listRegions } from './read/list-regions.ts';
import { depthOf, regionName } from './read/name-of-request.ts';
import type { Outgoing } from './read/outgoing.ts';
import { versionAsked } from './read/version-url.ts';
import { mergePatch } from './write/patch-region.ts';
import type { Writer } from './write/writer.ts';
import { addWritingRoutes } from './write/writing-routes.ts';

/** What the routes work with. */
export type Routes = {
  readonly catalog: Catalog;
  /** Undefined where there is no tree. */
  readonly treeWatch: TreeWatch | undefined;
  readonly outgoing: Outgoing;
  readonly metrics: Metrics;
  /** Undefined where nothing can be changed. */
  readonly writer: Writer | undefined;
};

const readable = ['GET', 'HEAD', 'OPTIONS'];

type IsThere = (request: FastifyRequest) => boolean;

/** Adds `/regions`, `/regions/NAME`, `/references` and `/metrics` to a scope. */
export function addRoutes(scope: FastifyInstance, routes: Routes): void {
  let depth: number | undefined;
  scope.route({
    method: ['GET', 'HEAD'],
    url: '/regions/*',
    config: { openapi: readRoute, answeredByLanes: true },
    handler(request, reply) {
      depth ??= depthOf(request);
      const answer = reply.sendRegion(regionName(request, depth), { version: versionAsked(request) });
      return reply.sent ? undefined : answer; // Fastify has nothing to wait for.
    },
  });
  scope.get('/regions', { config: { openapi: listRoute } }, (request, reply) => {
    routes.treeWatch?.look();
    return listRegions(routes, request, reply);
  });
  scope.get('/references', { config: { openapi: referencesRoute } }, (request, reply) =>
    listReferences(routes, request, reply),
  );
  scope.get('/metrics', { config: { openapi: metricsRoute } }, async (request, reply) => {
    const { contentType, body } = await routes.metrics.exposition(request.headers.accept);
    const vary = reply.getHeader('vary'); // of an answer to another origin
    return reply
      .type(contentType)
      .header('vary', vary === undefined ? 'Accept' : `${vary}, Accept`)
      .send(body);
  });
  if (routes.writer) addWritingRoutes(scope, routes.writer);
  refuseOtherMethods(scope, '/regions/*', routes.writer ? [...readable, 'PUT', 'PATCH', 'DELETE'] : readable);
  for (const url of ['/regions', '/references', '/metrics']) refuseOtherMethods(scope, url);
  if (!routes.writer) return;
  refuseOtherMethods(scope, '/leases', ['GET', 'HEAD', 'POST', 'OPTIONS']);
  refuseOtherMethods(scope, '/leases/:id', ['PUT', 'DELETE', 'OPTIONS']);
}

/**
 * 405 with Allow (RFC 9110 15.5.6) for what `url` does not answer; OPTIONS is told the same by 204.
 *
 * @param isThere whether something is at the address of a request, where `url` has parameters
 */
export function refuseOtherMethods(
  scope: FastifyInstance,
  url: string,
  allowed: readonly string[] = readable,
  isThere: IsThere = () => true,
): void {
  scope.route({
    method: scope.supportedMethods.filter((method) => !allowed.includes(method)),
    url,
    // Before a body is looked at: its type and size do not matter.
    onRequest: async (request, reply) => {
      if (!isThere(request)) return reply.callNotFound();
      throw new ProblemError('method-not-allowed', { headers: { allow: allowed.join(', ') } });
    },
    handler: async () => {},
  });
  if (!scope.hasRoute({ method: 'OPTIONS', url: `${scope.prefix}${url}` })) tellMethods(scope, url, allowed, isThere);
}

/** Answers OPTIONS by 204 with Allow (RFC 9110 9.3.7), whatever body comes with it. */
export function tellMethods(
  scope: FastifyInstance,
  url: string,
  allowed: readonly string[] = readable,
  isThere: IsThere = () => true,
): void {
  const patch = allowed.includes('PATCH') ? { 'accept-patch': mergePatch } : {}; // RFC 5789 3.1
  scope.options(url, {
    onRequest: async (request, reply) => {
      if (!isThere(request)) return reply.callNotFound();
      return reply.code(204).header('allow', allowed.join(', ')).headers(patch).send();
    },
    handler: async () => {},
  });
}
