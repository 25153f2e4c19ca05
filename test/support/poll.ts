import { setTimeout as delay } from 'node:timers/promises';

const pollMilliseconds = 5;

/** Waits until `condition` holds; fails with what was waited for, and what was there instead, after `milliseconds`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  milliseconds = 8000,
  instead: () => unknown = () => undefined,
): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not in ${milliseconds} ms: ${what}${shown(instead())}`);
    await delay(pollMilliseconds);
  }
}

function shown(value: unknown): string {
  return value === undefined ? '' : `; instead: ${JSON.stringify(value)}`;
}
