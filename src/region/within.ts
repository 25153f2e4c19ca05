import { setTimeout as delay } from 'node:timers/promises';

/** Node fires a timer of 2^31 milliseconds or more at once. */
export const maxSeconds = 2_147_483;

/** What a promise resolves to; undefined where that takes longer, or the signal says that nobody waits any more. */
export async function within<Result>(
  promise: Promise<Result>,
  milliseconds: number,
  ...signals: readonly AbortSignal[]
): Promise<Result | undefined> {
  const settled = new AbortController();
  const signal = AbortSignal.any([settled.signal, ...signals]);
  const late = delay(Math.max(0, milliseconds), undefined, { signal }).catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    settled.abort();
  }
}
