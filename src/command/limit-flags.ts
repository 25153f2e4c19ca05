/** The flags of the table of limits. @module */
import { type Limit, type LimitName, limitRows, mostOfAny } from '../limits/limits.ts';
import { bytes, bytesOrNone, type Flag, named, seconds, secondsAboveZero, whole } from './flag-kinds.ts';

/** A value that is not given stays undefined: only one that is given holds for clients of this machine too. */
type LimitFlag = Flag<number | undefined>;

/** How values of a unit are written and read. */
function kindOf({ unit, least = 0, most }: Limit): Omit<LimitFlag, 'flag' | 'meaning'> {
  if (unit === 'count') return whole('N', least, most ?? mostOfAny, undefined);
  if (unit === 'seconds') return least > 0 ? secondsAboveZero(1) : seconds(0);
  return most === undefined ? bytesOrNone('', 0) : bytesBetween(least, most);
}

function bytesBetween(least: number, most: number): Omit<LimitFlag, 'flag' | 'meaning'> {
  const kind = bytes('', undefined);
  const read = (texts: readonly string[]) => {
    const value = kind.read(texts);
    return value !== undefined && value >= least && value <= most ? value : undefined;
  };
  return { ...kind, rule: `a whole number of bytes from ${least} to ${most}, alone or in KiB`, read };
}

/** By the names of their options. */
export const limitFlags = Object.fromEntries(limitRows.map(([name, limit]) => [name, flagOf(limit)])) as {
  readonly [Name in LimitName]: LimitFlag;
};

function flagOf(limit: Limit): LimitFlag {
  const kind = { ...kindOf(limit), fallback: undefined, shownDefault: shownDefault(limit) };
  return named(limit.flag, limit.meaning, kind);
}

function shownDefault({ fallback, shownDefault, perAddress }: Limit): string {
  const shown = shownDefault ?? `${fallback ?? 'none'}`;
  return perAddress ? `${shown}; none for clients of this machine` : shown;
}
