/** The addresses that the service answers. @module */
import type { FastifyInstance } from 'fastify';
import type { Metrics } from '../observe/metrics.ts';
import type { Region } from '../region/region.ts';
import { copyFree } from '../relay/engine.ts';
import { getRegion, type RegionService } from './get-region.ts';

/** What the routes work with. `draining` is true from the first signal to shut down on. */
export type Routes = RegionService & { readonly metrics: Metrics; readonly draining: () => boolean };

/** Adds all routes. */
export function addRoutes(app: FastifyInstance, routes: Routes): void {
  app.route({
    method: ['GET', 'HEAD'],
    url: '/regions/*',
    handler: (request, reply) => getRegion(routes, request, reply),
  });
  app.get('/regions', async () => ({
    regions: (await routes.catalog.list()).map((region) => describe(routes, region)),
  }));
  app.get<{ Querystring: { region?: string } }>('/references', (request) =>
    listReferences(routes, request.query.region),
  );
  app.get('/metrics', async (_request, reply) =>
    reply.type(routes.metrics.contentType).send(await routes.metrics.text()),
  );
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const draining = routes.draining();
    return reply.code(draining ? 503 : 200).send({ status: draining ? 'draining' : 'ready' });
  });
}

function describe(routes: Routes, region: Region) {
  const { size, backing, node } = region.content.generation;
  const engine = routes.outgoing.engineOf(region);
  return {
    name: region.name,
    size,
    backing,
    engine,
    copyFree: copyFree(engine, backing),
    contentType: region.contentType,
    etag: region.etag,
    node: node < 0 ? null : node,
    writable: false,
  };
}

async function listReferences({ catalog, outgoing }: Routes, name: string | undefined) {
  const all = outgoing.relay.references();
  catalog.forgetNames(new Set(all.map(({ generation }) => generation)));
  const references = all.map(({ id, generation, ...rest }) => ({ id, region: catalog.nameOf(generation), ...rest }));
  return { references: references.filter(({ region }) => name === undefined || region === name) };
}
