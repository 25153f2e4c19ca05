import { setTimeout as delay } from 'node:timers/promises';
import { patience } from './limits.ts';

const pollMilliseconds = 5;

/** Waits until `condition` holds; fails with what was waited for, and what was there instead. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  instead: () => unknown = () => undefined,
): Promise<void> {
  const deadline = performance.now() + patience;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not in ${patience} ms: ${what}${shown(instead())}`);
    await delay(pollMilliseconds);
  }
}

function shown(value: unknown): string {
  return value === undefined ? '' : `; instead: ${JSON.stringify(value)}`;
}
