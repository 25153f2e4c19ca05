import { readdirSync, readFileSync } from 'node:fs';

/** How many lanes this process runs, by the names of its threads. */
export function countLanes(): number {
  return readdirSync('/proc/self/task').filter((thread) => nameOf(thread).startsWith('pagerelay-lane')).length;
}

function nameOf(thread: string): string {
  try {
    return readFileSync(`/proc/self/task/${thread}/comm`, 'utf8');
  } catch {
    return ''; // It has ended.
  }
}
