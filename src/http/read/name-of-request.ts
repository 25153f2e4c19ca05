import type { FastifyRequest } from 'fastify';
import type { Catalog } from '../../region/catalog.ts';
import { decodeName, encodeName } from '../../region/name.ts';
import { ProblemError } from '../problem/problems.ts';

/**
 * What a request asks for by name, from the still encoded path: the router's own decoding is not trusted with it. Whether
 * a region can be called so, the catalog judges.
 *
 * @param request has been routed to an address that ends in `*`
 * @throws ProblemError `region-not-found` for what does not decode
 */
export function regionName(request: FastifyRequest): string {
  const name = decodeName(addressOf(request).name);
  if (name === undefined) throw new ProblemError('region-not-found');
  return name;
}

/** The same for a request that would make or change the region. @throws ProblemError `bad-name` */
export function writtenName(request: FastifyRequest, catalog: Catalog): string {
  const name = decodeName(addressOf(request).name);
  if (name === undefined || !catalog.accepts(name)) throw new ProblemError('bad-name');
  return name;
}

/** The address of a region under the route of a request for it. */
export function locationOf(request: FastifyRequest, name: string): string {
  return `${addressOf(request).before}/${encodeName(name)}`;
}

function addressOf(request: FastifyRequest): { readonly before: string; readonly name: string } {
  const query = request.url.indexOf('?');
  const path = query < 0 ? request.url : request.url.slice(0, query);
  // What stands before the name has as many segments as in the route, whatever its parameters and its case.
  const route = request.routeOptions.url ?? '';
  let slash = path.indexOf('/');
  for (let at = route.indexOf('/', 1); at >= 0; at = route.indexOf('/', at + 1)) slash = path.indexOf('/', slash + 1);
  return { before: path.slice(0, slash), name: path.slice(slash + 1) };
}
