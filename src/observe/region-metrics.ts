/** What happens to regions, and what they are sent by, as metrics. @module */
import type { BackingEngine } from '../relay/engine.ts';
import type { Verdict } from '../relay/witness.ts';
import { writeLabels } from './exposition.ts';
import { byLabel, type Family, type Sample, single } from './family.ts';

/** What happens to regions, counted where it happens; each is read when asked. */
export type RegionCounts = {
  /** Files of open regions that others have touched, by what they did. */
  readonly externalChanges: Readonly<Record<string, number>>;
  /** Versions that were replaced and are still served; undefined where none is kept. */
  readonly kept: { readonly count: number; readonly bytes: number } | undefined;
  readonly digests: { readonly running: number; readonly outcomes: Readonly<Record<string, number>> };
  /** Undefined where nothing can be changed. */
  readonly changes:
    | {
        /** Overwrites in place, by how they ended. */
        readonly overwrites: Readonly<Record<string, number>>;
        expiredLeases(): number;
        oldGenerations(): number;
        regionBytes(): number;
      }
    | undefined;
};

/** A region that is open, with what it is sent by. */
export type RegionEngine = Pick<BackingEngine, 'backing' | 'engine' | 'copyFree'> & { readonly region: string };

/** What has happened to regions. */
export function regionFamilies({ externalChanges, kept, digests, changes }: RegionCounts): Family[] {
  const external = 'Files of open regions that others have replaced, changed or removed.';
  const asked = 'Digests of regions that were asked for and not known, by what became of them.';
  const running = 'Digests of regions that are being computed.';
  return [
    byLabel('pagerelay_external_changes_total', external, 'kind', externalChanges),
    byLabel('pagerelay_digests_total', asked, 'outcome', digests.outcomes),
    single('pagerelay_digests_running', running, digests.running),
    ...(kept ? keptFamilies(kept) : []),
    ...(changes ? changeFamilies(changes) : []),
  ];
}

function keptFamilies({ count, bytes }: NonNullable<RegionCounts['kept']>): Family[] {
  return [
    single('pagerelay_kept_versions', 'Versions of regions that were replaced and are still served.', count),
    single('pagerelay_kept_version_bytes', 'Bytes of these versions.', bytes),
  ];
}

function changeFamilies(changes: NonNullable<RegionCounts['changes']>): Family[] {
  const expired = 'Leases of processes that ended by their time, unreleased.';
  const old = 'Files without a name that are kept for their readers.';
  const overwrites = 'Overwrites in place, by how they ended.';
  return [
    byLabel('pagerelay_overwrites_total', overwrites, 'outcome', changes.overwrites),
    single('pagerelay_expired_leases_total', expired, changes.expiredLeases()),
    single('pagerelay_old_generations', old, changes.oldGenerations()),
    single('pagerelay_region_bytes', 'Bytes that count against the quota.', changes.regionBytes()),
  ];
}

/** What each backing in use is sent by. */
export function engineFamily(engines: readonly BackingEngine[]): Family {
  return {
    name: 'pagerelay_engine_info',
    type: 'gauge',
    help: 'The engine that each backing in use is sent by; copy_free as a witness has seen it.',
    samples: engines.map(({ backing, engine, copyFree }) => ({
      labels: { backing, engine, copy_free: seen(copyFree) },
      value: 1,
    })),
  };
}

/** How many regions have a series of their own in one run: scrapers keep each name for weeks. */
const mostRegions = 1000;

/** What each of the first 1,000 regions that were read is sent by, while they are open. */
export class RegionInfo {
  /** Kept, so that the labels of each are written once. */
  readonly #samples = new Map<string, Sample>();

  family(open: Iterable<RegionEngine>): Family {
    const samples: Sample[] = [];
    for (const region of open) {
      const sample = this.#sampleOf(region);
      if (sample) samples.push(sample);
    }
    const help = 'What each open region is sent by; the first 1,000 that were read.';
    return { name: 'pagerelay_region_info', type: 'gauge', help, samples };
  }

  #sampleOf({ region, backing, engine, copyFree }: RegionEngine): Sample | undefined {
    const known = this.#samples.get(region);
    const copy_free = seen(copyFree);
    const { labels } = known ?? {};
    if (labels?.backing === backing && labels.engine === engine && labels.copy_free === copy_free) return known;
    if (!known && this.#samples.size >= mostRegions) return undefined;
    const now = { region, backing, engine, copy_free };
    const sample = { labels: now, written: writeLabels(now), value: 1 };
    this.#samples.set(region, sample);
    return sample;
  }
}

function seen(copyFree: Verdict): string {
  return copyFree === null ? 'unknown' : copyFree ? 'yes' : 'no';
}
