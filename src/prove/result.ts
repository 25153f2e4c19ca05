/** What `pagerelay prove` finds out. @module */
import type { EngineChoice } from '../relay/engine.ts';
import type { MeansOfBacking } from '../relay/means.ts';
import type { Refusal } from '../relay/refused.ts';
import type { Backing, Engine } from '../relay/relay.ts';
import type { Verdict } from '../relay/witness.ts';

/** When pages that were sent may be changed again (docs/done.md). */
export type Done = 'accepted' | 'read by the peer' | 'notice';

/** What sending showed. GB and MB are 10^9 and 10^6 bytes. */
export type Measured = {
  readonly bytes: number;
  /** Regions' bytes among them that the relay counts as copied. */
  readonly copiedBytes: number;
  /** Processor time of the sending process, all its threads and the kernel's work for it. */
  readonly cpuSecondsPerGB: number;
  readonly gigabytesPerSecond: number;
  /** Calls that gave bytes to a socket. */
  readonly sendsPerMB: number;
};

/** One engine on one backing. */
export type Result = {
  readonly backing: Backing;
  /** A folder, a device, or what was made. */
  readonly where: string;
  readonly engine: Engine;
  /** As the witness saw it; null where it could not see. */
  readonly copyFree: Verdict;
  /** Why it can't send from there: an errno by name. */
  readonly refused: string | null;
  /** What the kernel's own notice says of MSG_ZEROCOPY. */
  readonly notice: 'copied' | 'not copied' | null;
  readonly done: Done;
  /** Whether the configuration uses it there, for a peer that can be asked. */
  readonly used: boolean;
  /** Null where it can't send, or another is taken in its place. */
  readonly measured: Measured | null;
};

/** What the configuration does on one backing. */
export type BackingChoice = {
  readonly backing: Backing;
  readonly where: string;
  readonly engine: Engine;
  readonly copyFree: Verdict;
  readonly because: string;
  /** What an overwrite in place does there about pages in flight; null where nothing can be overwritten. */
  readonly overwrites: MeansOfBacking | null;
};

/** A backing that this machine does not offer, or not now. `asked`: it was named by `--path`. */
export type Absent = { readonly backing: string; readonly why: string; readonly asked: boolean };

/** A claim of the configuration, and whether what was seen bears it out. */
export type Claim = { readonly claim: string; readonly met: boolean; readonly because: string };

/** All of it; what `--json` prints. */
export type Proof = {
  readonly date: string;
  readonly kernel: string;
  readonly node: string;
  readonly pagerelay: string;
  readonly processor: string;
  readonly configured: EngineChoice;
  readonly results: readonly Result[];
  readonly backings: readonly BackingChoice[];
  readonly absent: readonly Absent[];
  /** System calls that a filter refuses here. */
  readonly refused: readonly Refusal[];
  readonly claims: readonly Claim[];
  readonly conclusion: string;
};
