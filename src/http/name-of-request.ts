import { parseRegionName } from '../region/name.ts';
import { ProblemError } from './problems.ts';

const prefix = '/regions/';

/**
 * The region that a request-target names, from the still encoded path: the router's own decoding is not trusted with
 * it.
 *
 * @throws ProblemError `region-not-found` for what is no region name
 */
export function regionName(target: string): string {
  const path = target.split('?', 1)[0] ?? '';
  const name = path.startsWith(prefix) ? parseRegionName(path.slice(prefix.length)) : undefined;
  if (name === undefined) throw new ProblemError('region-not-found');
  return name;
}
