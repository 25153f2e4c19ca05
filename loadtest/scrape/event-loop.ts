/** How late the service's event loop was, from its metrics. @module */
import type { MetricsText } from './parse.ts';

/** Milliseconds. Of a histogram, `p99` is its bucket's upper bound. */
export type EventLoopDelay = { readonly mean: number; readonly p99: number };

const family = 'pagerelay_event_loop_delay_seconds';

/** Between two scrapes; undefined when nobody has looked meanwhile. */
export function eventLoopDelay(before: MetricsText | undefined, now: MetricsText): EventLoopDelay | undefined {
  const grown = (name: string, labels = {}) => now.sum(name, labels) - (before?.sum(name, labels) ?? 0);
  const count = grown(`${family}_count`);
  if (!(count > 0)) return undefined;
  const buckets = now.samples(`${family}_bucket`).map(({ labels }) => {
    const { le = '' } = labels;
    return { bound: le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), within: grown(`${family}_bucket`, { le }) };
  });
  const sorted = buckets.sort((a, b) => a.bound - b.bound);
  const reached = sorted.find(({ within }) => within >= 0.99 * count)?.bound ?? Number.POSITIVE_INFINITY;
  const largest = sorted.findLast(({ bound }) => Number.isFinite(bound))?.bound ?? 0;
  return { mean: (grown(`${family}_sum`) / count) * 1000, p99: Math.min(reached, largest) * 1000 };
}
