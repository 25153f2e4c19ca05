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
  before: Usage | undefined,
  after: Usage | undefined,
  scraped: Snapshot | undefined,
): Promise<ServerUse | undefined> {
  const delays = scraper?.points.filter((point) => point.at >= at).map((point) => point.eventLoopDelayMilliseconds);
  const [eventLoopDelayMilliseconds] = (delays ?? []).flatMap((delay) => delay ?? []).sort((a, b) => b.p99 - a.p99);
  if (before && after) {
    return {
      cpuSeconds: after.cpuSeconds - before.cpuSeconds,
      residentBytes: after.residentBytes,
      switches: after.switches - before.switches,
      ...(eventLoopDelayMilliseconds && { eventLoopDelayMilliseconds }),
    };
  }
  const told = await scraper?.snapshot().catch(() => undefined);
  if (!scraped || !told || told.point.residentBytes === 0) return undefined;
  return {
    cpuSeconds: told.point.cpuSeconds - scraped.point.cpuSeconds,
    residentBytes: told.point.residentBytes,
    ...(eventLoopDelayMilliseconds && { eventLoopDelayMilliseconds }),
  };
}
