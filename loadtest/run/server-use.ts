/** What a server used while it was under load: from /proc, or as it tells itself. @module */
import { type Usage, usageOf } from '../measure/process-usage.ts';
import type { EventLoopDelay } from '../scrape/event-loop.ts';
import type { Snapshot } from '../scrape/scraper.ts';
import type { Contender } from './contender.ts';

/** Of one load. */
export type ServerUse = {
  readonly cpuSeconds: number;
  /** After the load. */
  readonly residentBytes: number;
  /** Context switches of all its threads; missing where only its metrics tell. */
  readonly switches?: number;
  /** The worst between two scrapes. */
  readonly eventLoopDelayMilliseconds?: EventLoopDelay;
};

/** What it has used so far; undefined when it is gone. */
export function usageIfThere(pid: number | undefined): Usage | undefined {
  try {
    return pid === undefined ? undefined : usageOf(pid);
  } catch {
    return undefined; // It has died: that is told from its address.
  }
}

/** What it used between two looks, the first of them at `at` seconds of the run. */
export async function serverUse(
  { scraper }: Contender,
  at: number,
  [before, after]: readonly (Usage | undefined)[],
  scraped: Snapshot | undefined,
): Promise<ServerUse | undefined> {
  const delays = scraper?.points.flatMap((point) => (point.at < at ? [] : (point.eventLoopDelayMilliseconds ?? [])));
  const [worst] = delays?.sort((a, b) => b.p99 - a.p99) ?? [];
  const delay = worst && { eventLoopDelayMilliseconds: worst };
  if (before && after) {
    const { cpuSeconds, residentBytes, switches } = after;
    return {
      cpuSeconds: cpuSeconds - before.cpuSeconds,
      residentBytes,
      switches: switches - before.switches,
      ...delay,
    };
  }
  const told = await scraper?.snapshot().catch(() => undefined);
  if (!scraped || !told || told.point.residentBytes === 0) return undefined;
  const { cpuSeconds, residentBytes } = told.point;
  return { cpuSeconds: cpuSeconds - scraped.point.cpuSeconds, residentBytes, ...delay };
}
