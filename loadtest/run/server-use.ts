/** What a server used while it was under load: from /proc, or as it tells itself. @module */
import { type Usage, usageOf } from '../measure/process-usage.ts';
import type { Snapshot } from '../scrape/scraper.ts';
import type { Contender } from './contender.ts';

/** Of one load. */
export type ServerUse = NonNullable<Awaited<ReturnType<typeof serverUse>>>;

/** What it has used so far; undefined when it is gone. */
export function usageIfThere(pid: number | undefined): Usage | undefined {
  try {
    return pid === undefined ? undefined : usageOf(pid);
  } catch {
    return undefined; // It has died: that is told from its address.
  }
}

/** What it used between two looks, the first of them at `at` seconds of the run; undefined where nothing tells. */
export async function serverUse(
  { scraper }: Contender,
  at: number,
  [before, after]: readonly (Usage | undefined)[],
  scraped: Snapshot | undefined,
) {
  const delays = scraper?.points.flatMap((point) => (point.at < at ? [] : (point.eventLoopDelayMilliseconds ?? [])));
  const [worst] = delays?.sort((a, b) => b.p99 - a.p99) ?? [];
  const told = before && after ? undefined : await scraper?.snapshot().catch(() => undefined);
  const [from, to] = before && after ? [before, after] : [scraped?.point, told?.point];
  if (!from || !to || to.residentBytes === 0) return undefined;
  return {
    cpuSeconds: to.cpuSeconds - from.cpuSeconds,
    /** After the load. */
    residentBytes: to.residentBytes,
    /** Context switches of all its threads; undefined where only its metrics tell. */
    switches: before && after && after.switches - before.switches,
    /** The worst between two scrapes. */
    eventLoopDelayMilliseconds: worst,
  };
}
