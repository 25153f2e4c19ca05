import type { LimitsByPlace } from '../limits/limits.ts';
import { NativeRelay } from './native-relay.ts';
import { PortableRelay } from './portable-relay.ts';
import { loadShim } from './shim.ts';

/** Native threads of one relay, at most. */
export const maxLanes = 256;

/** What a relay is opened with. */
export type RelayOptions = {
  /** Native threads that carry transmissions. */
  readonly lanes: number;
  /** Seconds: a transmission that makes no progress for so long is broken off. */
  readonly maxHold: number;
  /** Seconds that a waiting writer lets a reference cost before it is broken off. Default 30. */
  readonly breakHolds?: number | undefined;
  /**
   * Broken-off connections to local peers whose descriptors stay under watch until their readers have read. Beyond it
   * the oldest is reset, and its bytes are quarantined.
   */
  readonly maxBrokenOff?: number | undefined;
  /** What clients may cost; undefined: anything. */
  readonly limits?: LimitsByPlace | undefined;
};

const defaultMaxBrokenOff = 1024;
const defaultBreakHolds = 30;

/** Opens a relay over the shim, or a portable one that says why. */
export function openRelay(options: RelayOptions): NativeRelay | PortableRelay {
  const verdict = loadShim();
  if ('missing' in verdict) return new PortableRelay(verdict.missing, options.limits);
  const shimOptions = {
    lanes: options.lanes,
    maxHoldSeconds: options.maxHold,
    maxBrokenOff: options.maxBrokenOff ?? defaultMaxBrokenOff,
  };
  return new NativeRelay(verdict.shim, shimOptions, options.breakHolds ?? defaultBreakHolds, options.limits);
}
