import type { FastifyRequest } from 'fastify';
import type { Catalog } from '../../region/catalog.ts';
import { decodeName, encodeName } from '../../region/name.ts';
import { ProblemError } from '../problem/problems.ts';

/**
 * What a request asks for by name, from the still encoded path: the router's own decoding is not trusted with it. Whether
 * a region can be called so, the catalog judges.
 *
 * @param request has been routed to an address that ends in `*`
 * @param depth of that address (`depthOf`)
 * @throws ProblemError `region-not-found` for what does not decode
 */
export function regionName(request: FastifyRequest, depth: number): string {
  const name = decodeName(addressOf(request, depth).name);
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

/** How many segments the address of a request's route has: in the request it has as many, whatever stands in them. */
export function depthOf({ routeOptions: { url = '' } }: FastifyRequest): number {
  return url.split('/').length - 1;
}

function addressOf(
  request: FastifyRequest,
  depth = depthOf(request),
): { readonly before: string; readonly name: string } {
  const { url } = request;
  const query = url.indexOf('?');
  const path = query < 0 ? url : url.slice(0, query);
  let slash = -1;
  for (let left = depth; left > 0; left--) slash = path.indexOf('/', slash + 1);
  return { before: path.slice(0, slash), name: path.slice(slash + 1) };
}
