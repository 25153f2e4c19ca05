import { shrinkMilliseconds } from './limits.ts';

/**
 * A property whose counterexample is told of soon: shrinking ends a minute after the run that failed has begun. What
 * would be tried later is taken for right, so that the smallest one by then is reported. Without it, a property that
 * waits for answers which do not come is shrunk until the time limit of the test.
 */
export function shrunkBriefly<Values extends unknown[]>(
  check: (...values: Values) => Promise<void>,
  clock: () => number = () => performance.now(),
): (...values: Values) => Promise<void> {
  let deadline = Number.POSITIVE_INFINITY;
  return async (...values) => {
    const began = clock();
    if (began > deadline) return;
    try {
      await check(...values);
    } catch (error) {
      deadline = Math.min(deadline, began + shrinkMilliseconds);
      throw error;
    }
  };
}
