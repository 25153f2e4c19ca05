import { parseRegionName } from '../region/name.ts';
import { ProblemError } from './problems.ts';

/**
 * The region that a request-target names, from the still encoded path: the router's own decoding is not trusted with
 * it.
 *
 * @param target the request-target's path and query
 * @param prefix what stands before `/regions/`
 * @throws ProblemError `region-not-found` for what is no region name
 */
export function regionName(target: string, prefix: string): string {
  const path = target.split('?', 1)[0] ?? '';
  const folder = `${prefix}/regions/`;
  const name = path.startsWith(folder) ? parseRegionName(path.slice(folder.length)) : undefined;
  if (name === undefined) throw new ProblemError('region-not-found');
  return name;
}
