/** Sentences that several reports share. @module */
import type { PlacedFault } from '../run/outcome.ts';
import { metricsMissing } from '../run/target.ts';
import type { Results } from './results.ts';
import { writeNumber } from './units.ts';

/** A fault with its place. */
export function sayFault({ kind, request, detail, server, scenario, round }: PlacedFault): string {
  const what = request === undefined ? detail : `${request}: ${detail}`;
  return `${kind} (${server}, ${scenario}, round ${round}): ${what}`;
}

/** `1 fault`, `2 faults`. */
export function countFaults(count: number): string {
  return count === 1 ? '1 fault' : `${count} faults`;
}

/** How it ended, in one sentence. */
export function verdictOf({ end, faults, trials, rows, baseline, missing, profile }: Results): string {
  if (end === 'interrupted') return 'Interrupted: what was measured until then.';
  if (end === 'out of time') return 'Out of time: what was measured until then.';
  const [first] = faults;
  if (first) return `FAILED: ${countFaults(faults.length)}, the first: ${sayFault(first)}`;
  const sum = (of: (row: Results['rows'][number]) => number) => rows.reduce((total, row) => total + of(row), 0);
  const reconciled = trials.filter(({ isReconciled }) => isReconciled).length;
  const bytes = sum(({ checkedBytes }) => checkedBytes);
  const checked =
    profile.clients === 'fast'
      ? 'before each scenario, bodies were compared byte for byte'
      : `${writeNumber(bytes / 2 ** 20)} MiB of them were compared by sha-256`;
  const metrics =
    reconciled === 0
      ? `its counters were NOT compared: ${missing.find(({ name }) => name === metricsMissing)?.why ?? 'no server of this run has any'}`
      : `in all ${reconciled} loads on ${baseline} itself (of ${trials.length}), its counters added up with what the clients saw, and its gauges returned to zero`;
  return `Passed: ${writeNumber(sum(({ requests }) => requests))} answers had the right status, headers and length; ${checked}; ${metrics}.`;
}
