import { type Counted, counterRows, type Distinction, distinctions } from './counters.ts';
import { DurationCounts } from './durations.ts';

type Value = number | { readonly [name: string]: Value };

function zeros([distinction, ...others]: readonly Distinction[]): Value {
  if (distinction === undefined) return 0;
  return Object.fromEntries(distinctions[distinction].values.map((name) => [name, zeros(others)]));
}

/** Every counter at zero. */
export const nothingCounted = Object.fromEntries(
  counterRows.map(({ name, by, times }) => [name, times ? new DurationCounts().counted : zeros(by)]),
) as Counted;
