/** The file that a run leaves: `results.json` (described by results.schema.json). @module */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { congestionControl, describeMachine, versionOfPackage } from '../measure/machine.ts';
import type { Pins } from '../measure/pin.ts';
import type { Profile, Scenario } from '../model/scenario.ts';
import { UsageError } from '../options.ts';
import type { Outcome } from '../run/outcome.ts';
import { type Row, rowsOf } from './rows.ts';

/** Moves when a reader of an older file would misread it. */
export const resultsVersion = 2;

/** Where it ran, and of what. */
export type Conditions = ReturnType<typeof describeConditions>;

/** Everything that a run has found out. */
export type Results = Outcome & {
  readonly version: typeof resultsVersion;
  readonly startedAt: string;
  readonly seconds: number;
  readonly baseline: string;
  readonly conditions: Conditions;
  readonly profile: Profile;
  readonly scenarios: readonly Scenario[];
  /** Made of the trials. */
  readonly rows: readonly Row[];
};

/** What `--compare` needs, and who reads it: small enough for a repository. */
export type Baseline = ReturnType<typeof baselineOf>;

/** Looks at the machine, before anything runs. */
export function describeConditions(command: string, pins: Pins | undefined) {
  return {
    machine: describeMachine(),
    congestionControl: congestionControl(),
    commit: commitOf(),
    pins: pins ?? null,
    /** What was typed. */
    command,
    autocannon: versionOfPackage('autocannon'),
    undici: versionOfPackage('undici'),
  };
}

/** Puts together what a run has found out. */
export function resultsOf(
  outcome: Outcome,
  about: Pick<Results, 'startedAt' | 'seconds' | 'baseline' | 'conditions' | 'profile' | 'scenarios'>,
): Results {
  const rows = rowsOf(outcome.trials, about.scenarios, about.baseline);
  return { version: resultsVersion, ...about, ...outcome, rows };
}

/** @see Baseline */
export function baselineOf(results: Results) {
  const { version, startedAt, baseline, conditions, end, profile } = results;
  const { name, rounds, seconds } = profile;
  const kept = ({ scenario, server, client, limit, ratios }: Row) => ({ scenario, server, client, limit, ratios });
  const rows: readonly ReturnType<typeof kept>[] = results.rows.map(kept);
  return { version, startedAt, baseline, conditions, end, profile: { name, rounds, seconds }, rows };
}

/** Reads a file that a run has left, or a baseline. @throws UsageError */
export function readResults(path: string): Baseline {
  try {
    const results = JSON.parse(readFileSync(path, 'utf8')) as Baseline;
    if (results.version !== resultsVersion || !Array.isArray(results.rows)) {
      throw new Error(`not a results.json of version ${resultsVersion}`);
    }
    return results;
  } catch (cause) {
    throw new UsageError(`${path}: ${(cause as Error).message}`, { cause });
  }
}

// Of the working tree; null outside of one.
function commitOf() {
  const git = (...args: string[]) => spawnSync('git', args, { encoding: 'utf8', cwd: import.meta.dirname });
  const { status, stdout } = git('rev-parse', 'HEAD');
  if (status !== 0) return null;
  return { id: stdout.trim(), isChanged: git('--no-optional-locks', 'status', '--porcelain').stdout.trim() !== '' };
}
