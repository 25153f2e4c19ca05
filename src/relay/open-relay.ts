import { NativeRelay } from './native-relay.ts';
import { PortableRelay } from './portable-relay.ts';
import type { PeerKind } from './relay.ts';
import { loadShim } from './shim.ts';
import type { Claims } from './witness.ts';

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
  /** For tests: what every peer is taken for. */
  readonly treatPeersAs?: PeerKind | undefined;
  /** For tests: a wrong done rule, to show that they would see one. */
  readonly releaseWhenAccepted?: boolean | undefined;
  /** For tests: what the witness says of engines, whatever it sees. */
  readonly witnessSays?: Claims | undefined;
};

const defaultMaxBrokenOff = 1024;
const defaultBreakHolds = 30;

/** Opens a relay over the shim, or a portable one that says why. */
export function openRelay(options: RelayOptions): NativeRelay | PortableRelay {
  const verdict = loadShim();
  if ('missing' in verdict) return new PortableRelay(verdict.missing);
  const shimOptions = {
    lanes: options.lanes,
    maxHoldSeconds: options.maxHold,
    maxBrokenOff: options.maxBrokenOff ?? defaultMaxBrokenOff,
    peerKind: options.treatPeersAs,
    releaseWhenAccepted: options.releaseWhenAccepted,
  };
  const { breakHolds = defaultBreakHolds, witnessSays } = options;
  return new NativeRelay(verdict.shim, shimOptions, breakHolds, witnessSays);
}
