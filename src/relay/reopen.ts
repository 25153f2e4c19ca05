import { openSync } from 'node:fs';

/** Opens the file behind a descriptor anew, for reading; undefined when that is not possible here. */
export function reopenDescriptor(fd: number): number | undefined {
  if (fd < 0) return undefined;
  try {
    return openSync(`/proc/self/fd/${fd}`, 'r');
  } catch {
    return undefined;
  }
}
