/** All that a run has measured, part by part. @module */
import type { CoresPart } from '../parts/cores.ts';
import type { IdlePart } from '../parts/idle.ts';
import type { Sample } from '../run/rounds.ts';
import type { WritingReport } from './writing-section.ts';

/** A part that was not measured is not there. */
export type Results = {
  readonly servers?: readonly Sample[] | undefined;
  readonly connections?: readonly Sample[] | undefined;
  readonly rate?: readonly Sample[] | undefined;
  readonly fresh?: readonly Sample[] | undefined;
  readonly cores?: Pick<CoresPart, 'one' | 'two' | 'shared'> | undefined;
  readonly node?: readonly Sample[] | undefined;
  readonly idle?: IdlePart | undefined;
  readonly writing?: WritingReport | undefined;
};

/** The names of the peers that goals and verdicts speak of. */
export type Cast = {
  readonly baseline: string;
  readonly rival: string;
  /** The system calls alone. */
  readonly floor: string;
  /** The baseline where it copies small ranges. */
  readonly copyBelow: string;
};
