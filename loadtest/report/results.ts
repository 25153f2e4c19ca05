/** The file that a run leaves: `results.json` (described by results.schema.json). @module */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { congestionControl, describeMachine, type Machine, versionOfPackage } from '../measure/machine.ts';
import type { Pins } from '../measure/pin.ts';
import type { Profile, Scenario } from '../model/scenario.ts';
import { UsageError } from '../options.ts';
import type { Outcome } from '../run/outcome.ts';
import { type Row, rowsOf } from './rows.ts';

/** Moves when a reader of an older file would misread it. */
export const resultsVersion = 2;

/** Where it ran, and of what. */
export type Conditions = {
  readonly machine: Machine;
  /** Of TCP, where nobody asks for another. */
  readonly congestionControl: string;
  /** Of the working tree; null outside of one. */
  readonly commit: { readonly id: string; readonly isChanged: boolean } | null;
  readonly pins: Pins | null;
  /** What was typed. */
  readonly command: string;
  /** Of the clients. */
  readonly autocannon: string;
  readonly undici: string;
};

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
export type Baseline = Pick<Results, 'version' | 'startedAt' | 'baseline' | 'conditions' | 'end'> & {
  readonly profile: Pick<Profile, 'name' | 'rounds' | 'seconds'>;
  readonly rows: readonly Pick<Row, 'scenario' | 'server' | 'client' | 'limit' | 'ratios'>[];
};

/** Looks at the machine, before anything runs. */
export function describeConditions(command: string, pins: Pins | undefined): Conditions {
  return {
    machine: describeMachine(),
    congestionControl: congestionControl(),
    commit: commitOf(),
    pins: pins ?? null,
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
export function baselineOf(results: Results): Baseline {
  const { version, startedAt, baseline, conditions, end, profile } = results;
  const { name, rounds, seconds } = profile;
  const kept = ({ scenario, server, client, limit, ratios }: Row) => ({ scenario, server, client, limit, ratios });
  return {
    version,
    startedAt,
    baseline,
    conditions,
    end,
    profile: { name, rounds, seconds },
    rows: results.rows.map(kept),
  };
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

function commitOf(): Conditions['commit'] {
  const git = (...args: string[]) => spawnSync('git', args, { encoding: 'utf8', cwd: import.meta.dirname });
  const { status, stdout } = git('rev-parse', 'HEAD');
  if (status !== 0) return null;
  return { id: stdout.trim(), isChanged: git('--no-optional-locks', 'status', '--porcelain').stdout.trim() !== '' };
}
