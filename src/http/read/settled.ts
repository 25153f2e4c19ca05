/** Files that can't be changed again unseen. @module */
import type { FileIdentity } from '../../relay/relay.ts';

/**
 * Milliseconds, longer than the granularity of ctimes: a further change within that can't be seen. File systems that count
 * whole seconds, or two, say none of their parts.
 */
const settled = { usually: 100, ofWholeSeconds: 3000 };

/** Whether a further change of a file would move its ctime. */
export function isSettled({ changedSeconds, changedNanoseconds }: FileIdentity): boolean {
  const least = changedNanoseconds === 0 ? settled.ofWholeSeconds : settled.usually;
  return Date.now() - (changedSeconds * 1000 + changedNanoseconds / 1e6) >= least;
}
