import { setTimeout as delay } from 'node:timers/promises';
import { patience } from './limits.ts';

/** From one look to the next: a tenth of the time that was waited, so that looking takes little of a wait. */
const [leastMilliseconds, mostMilliseconds] = [5, 50];

/** Waits until `condition` holds; fails with what was waited for, and what was there instead. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  instead: () => unknown = () => undefined,
): Promise<void> {
  const began = performance.now();
  while (!(await condition())) {
    const waited = performance.now() - began;
    if (waited > patience) throw new Error(`not in ${patience} ms: ${what}${shown(instead())}`);
    await delay(Math.min(mostMilliseconds, Math.max(leastMilliseconds, waited / 10)));
  }
}

function shown(value: unknown): string {
  return value === undefined ? '' : `; instead: ${JSON.stringify(value)}`;
}
