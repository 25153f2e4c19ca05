/** Metrics as they are told to a scraper: families of samples. @module */
import type { Durations } from '../relay/durations.ts';

/** Names and values; both are chosen here, never by clients, but for names of regions that exist. */
export type Labels = Readonly<Record<string, string | number>>;

/** One line of an exposition. */
export type Sample = {
  /** What comes after the family's name: `_bucket`, `_sum`, `_count`. */
  readonly suffix?: string;
  readonly labels?: Labels;
  /** The labels as they stand in an exposition, of a sample that is the same in many: writing them costs most of it. */
  readonly written?: string;
  readonly value: number;
};

/** A metric with all its samples, of this moment. A counter's name ends in `_total`. */
export type Family = {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly help: string;
  readonly samples: readonly Sample[];
};

/** A family of one sample without labels. Its type follows from its name, here and below. */
export function single(name: string, help: string, value: number): Family {
  return { name, type: typeOf(name), help, samples: [{ value }] };
}

/** A family with one label, whose values are the keys: of an array, its places. */
export function byLabel(name: string, help: string, label: string, values: Numbers): Family {
  const samples = Object.entries(values).map(([key, value]) => ({ labels: { [label]: key }, value }));
  return { name, type: typeOf(name), help, samples };
}

type Numbers = readonly number[] | Readonly<Record<string, number>>;

/** The type of a metric that is no histogram. Counters, and only they, have names that end in `_total`. */
export function typeOf(name: string): 'counter' | 'gauge' {
  return name.endsWith('_total') ? 'counter' : 'gauge';
}

/** A histogram. */
export function histogram(name: string, help: string, durations: Durations): Family {
  return { name, type: 'histogram', help, samples: samplesOf(durations, {}) };
}

/** A histogram for each value of one label. */
export function histogramByLabel(
  name: string,
  help: string,
  label: string,
  values: Readonly<Record<string, Durations>>,
): Family {
  const samples = Object.entries(values).flatMap(([key, durations]) => samplesOf(durations, { [label]: key }));
  return { name, type: 'histogram', help, samples };
}

function samplesOf({ buckets, sum }: Durations, labels: Labels): Sample[] {
  let count = 0;
  const samples: Sample[] = buckets.map(([bound, within]) => {
    count += within;
    return { suffix: '_bucket', labels: { ...labels, le: bound }, value: count };
  });
  return [...samples, { suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: count }];
}
