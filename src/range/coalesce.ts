import type { ByteRange } from '../relay/extent.ts';

type Run = { first: number; last: number; place: number };

/**
 * Joins ranges that overlap or touch, in the order in which they were asked for (RFC 9110 15.3.7.2): a client may ask
 * first for what it needs first.
 */
export function coalesce(ranges: readonly ByteRange[]): ByteRange[] {
  const sorted = ranges.map((range, place) => ({ ...range, place })).sort((a, b) => a.first - b.first);
  const runs: Run[] = [];
  for (const range of sorted) {
    const run = runs.at(-1);
    if (run && range.first <= run.last + 1) join(run, range);
    else runs.push(range);
  }
  return runs.sort((a, b) => a.place - b.place).map(({ first, last }) => ({ first, last }));
}

function join(run: Run, range: Run): void {
  run.last = Math.max(run.last, range.last);
  run.place = Math.min(run.place, range.place);
}
