/** What this process has open. @module */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { until } from './poll.ts';

/** Counts of the whole process: pipe ends, all other descriptors, and mappings of files and memfds. */
export type Open = { readonly descriptors: number; readonly pipes: number; readonly mappings: number };

/** Counts what is open now. */
export function countOpen(): Open {
  const targets = readdirSync('/proc/self/fd').map(targetOf);
  // Reading the folder takes a descriptor itself, which is gone when its target is asked for.
  const open = targets.filter((target) => target !== undefined);
  const pipes = open.filter((target) => target.startsWith('pipe:')).length;
  return {
    descriptors: open.length - pipes,
    pipes,
    mappings: readFileSync('/proc/self/maps', 'latin1').split('\n').filter(isMappedRegion).length,
  };
}

/** Waits until this process has no more open than `before`. */
export async function untilClosed(before: Open): Promise<void> {
  const closed = () => {
    const now = countOpen();
    return now.descriptors <= before.descriptors && now.pipes <= before.pipes && now.mappings <= before.mappings;
  };
  await until(closed, 'all is closed', () => ({ was: before, is: countOpen() }));
}

/** What is open, one line each: shown when counts differ. */
export function listOpen(): string[] {
  return readdirSync('/proc/self/fd').map((fd) => `${fd} ${targetOf(fd) ?? 'gone'}`);
}

// Not the shim itself, wherever the checkout is.
function isMappedRegion(line: string): boolean {
  return /^\S+ \S+ \S+ \S+ \S+ +\/(?:dev\/shm|tmp|memfd)/.test(line) && !line.endsWith('.node');
}

function targetOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
