/** How many descriptors the process may have, and what they are kept for. @module */
import { readdirSync, readFileSync } from 'node:fs';

/** How many descriptors the process may have: 1,024, as is usual, where it can't tell. */
export function descriptorLimit(): number {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? 1024 : Number(soft);
  } catch {
    return 1024;
  }
}

const leastReserve = 16;
const mostReserve = 512;

/**
 * Of these, how many connections and open files may use up, with all else that is open anyway: the others are kept for
 * opening another file, for pipes and for accepting.
 *
 * @param reserve how many these are; undefined: an eighth, from 16 to 512
 */
export function usableDescriptors(reserve?: number, limit = descriptorLimit()): number {
  return limit - (reserve ?? Math.min(mostReserve, Math.max(leastReserve, Math.floor(limit / 8))));
}

/** How many descriptors are open now. */
export function openDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}
