/** `/openapi.json`: the service describes itself (OpenAPI 3.1), from what stands beside each route. @module */
import { readFileSync } from 'node:fs';
import fastify, { type FastifyInstance, type RouteOptions } from 'fastify';
import { answerFixed, type Fixed, fixedOf } from '../read/fixed.ts';
import { refuseOtherMethods } from '../routes.ts';
import { completeDocument, type Document } from './document.ts';
import { documentRoute } from './page.ts';

const address = '/openapi.json';

const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const openapi = {
  openapi: '3.1.0',
  info: {
    title: 'pagerelay',
    version,
    summary: 'Byte ranges of memory-mapped regions, sent without a copy and held until done',
    description: 'Errors are problem documents (RFC 9457) with a stable `code`.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  servers: [{ url: '/' }],
  tags: [
    { name: 'regions', description: 'Reading regions and changing them' },
    { name: 'leases', description: 'Ranges for processes that write through their own mapping' },
    { name: 'watching', description: 'What is held, and whether all is well' },
    { name: 'page', description: 'The page to watch' },
  ],
  components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
} as const;

/** Gathers the routes that are added to `app` from now on, and answers with the document of them. */
export function describeRoutes(app: FastifyInstance): void {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    if (route.config?.openapi) routes.push(route);
  });
  let made: Fixed | undefined;
  app.route({
    method: ['GET', 'HEAD'],
    url: address,
    config: { openapi: documentRoute },
    handler: async (request, reply) => {
      made ??= await documentOf(routes);
      return answerFixed(made, request, reply);
    },
  });
  refuseOtherMethods(app, address);
}

// Made when it is first asked for, in an application of its own: what makes it takes a tenth of a start to load.
async function documentOf(routes: readonly RouteOptions[]): Promise<Fixed> {
  const { default: swagger } = await import('@fastify/swagger');
  const described = fastify({ exposeHeadRoutes: false });
  await described.register(swagger, {
    openapi: structuredClone(openapi) as never,
    convertConstToEnum: false,
    // The description is no schema of Fastify's, so that no request is validated and no answer serialized by it.
    transform: ({ url, route }) => ({ url, schema: route.config?.openapi as never }),
    transformObject: (made) =>
      completeDocument(('openapiObject' in made ? made.openapiObject : {}) as Document) as never,
  });
  for (const { method, url, config = {} } of routes) described.route({ method, url, config, handler: async () => {} });
  await described.ready();
  return fixedOf('application/json', Buffer.from(JSON.stringify(described.swagger())));
}
