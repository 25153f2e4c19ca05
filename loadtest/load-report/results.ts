/** The file that a run leaves: `results.json` (described by results.schema.json). @module */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describeMachine, type Machine } from '../measure/machine.ts';
import type { Pins } from '../measure/pin.ts';
import { UsageError } from '../options.ts';
import type { Profile, Scenario } from '../scenarios/scenario.ts';
import { autocannonLargest } from '../trial/jobs.ts';
import type { Outcome } from '../trial/run.ts';
import { type Row, rowsOf } from './rows.ts';

/** Moves when a reader of an older file would misread it. */
export const resultsVersion = 1;

/** Where it ran, and of what. */
export type Conditions = {
  readonly machine: Machine;
  /** Of the working tree; null outside of one. */
  readonly commit: { readonly id: string; readonly isChanged: boolean } | null;
  readonly pins: Pins | null;
  /** What was typed. */
  readonly command: string;
  /** Of the clients. */
  readonly autocannon: string;
  readonly undici: string;
  readonly autocannonLargest: number;
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

/** Looks at the machine, before anything runs. */
export function describeConditions(command: string, pins: Pins | undefined): Conditions {
  return {
    machine: describeMachine(),
    commit: commitOf(),
    pins: pins ?? null,
    command,
    autocannon: versionOf('autocannon'),
    undici: versionOf('undici'),
    autocannonLargest,
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

/** Only what `--compare` needs, and who reads it: small enough for a repository. */
export function withoutTrials(results: Results): Results {
  return { ...results, trials: [], series: {} };
}

/** Reads a file that a run has left. @throws UsageError */
export function readResults(path: string): Results {
  try {
    const results = JSON.parse(readFileSync(path, 'utf8')) as Results;
    if (results.version !== resultsVersion || !Array.isArray(results.rows)) throw new Error('not a results.json');
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

function versionOf(name: string): string {
  const text = readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
