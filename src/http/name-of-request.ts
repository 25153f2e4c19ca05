import type { FastifyRequest } from 'fastify';
import { parseRegionName } from '../region/name.ts';
import { ProblemError } from './problems.ts';

/**
 * The region that a request names, from the still encoded path: the router's own decoding is not trusted with it.
 *
 * @param request has been routed to an address that ends in `*`
 * @throws ProblemError `region-not-found` for what is no region name
 */
export function regionName(request: FastifyRequest): string {
  const name = nameIn(request);
  if (name === undefined) throw new ProblemError('region-not-found');
  return name;
}

/** The same for a request that would make or change the region. @throws ProblemError `bad-name` */
export function writtenName(request: FastifyRequest): string {
  const name = nameIn(request);
  if (name === undefined) throw new ProblemError('bad-name');
  return name;
}

function nameIn(request: FastifyRequest): string | undefined {
  const path = request.url.split('?', 1)[0] ?? '';
  // What stands before the name has as many segments as in the route, whatever its parameters and its case.
  const before = (request.routeOptions.url ?? '').split('/').length - 1;
  return parseRegionName(path.split('/').slice(before).join('/'));
}
