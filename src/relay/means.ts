/** What an overwrite in place does about pages that readers have in flight, as it was seen to work here. @module */
import type { Backing } from './relay.ts';
import { errnoName, type Shim } from './shim.ts';

/**
 * `wait`: until they are done. `punch`: it punches them out of the file, and writes new ones. `direct`: it writes past
 * the page cache (O_DIRECT), which drops them.
 */
export const everyMeans = ['wait', 'punch', 'direct'] as const;
export type Means = (typeof everyMeans)[number];

/** The means that files of a backing are overwritten by, and why. */
export type MeansOfBacking = { readonly backing: Backing; readonly means: Means; readonly because: string };

// On others the pages that are sent are the medium's own.
const candidates: Partial<Record<Backing, Exclude<Means, 'wait'>>> = { tmpfs: 'punch', pagecache: 'direct' };

/** Asks the witness. @param scratch the path of a new file on the same file system, which it makes and removes */
export function meansOn(shim: Pick<Shim, 'witness'>, backing: Backing, scratch: string): MeansOfBacking {
  const means = candidates[backing];
  if (!means) return { backing, means: 'wait', because: `no other means are known on ${backing}` };
  const result = shim.witness(means, 'folder', scratch);
  if (result === 1)
    return { backing, means, because: `it was seen to leave pages of ${backing} in flight as they are` };
  const why = result < 0 ? `it could not be tried: ${errnoName(result)}` : 'it would change pages in flight';
  return { backing, means: 'wait', because: `${means} is not used: ${why}` };
}
