/** Sentences that several reports share. @module */
import { writeNumber } from '../report/units.ts';
import { metricsMissing, type PlacedFault } from '../trial/run.ts';
import type { Results } from './results.ts';

/** A fault with its place. */
export function sayFault({ kind, request, detail, peer, scenario, round }: PlacedFault): string {
  const what = request === undefined ? detail : `${request}: ${detail}`;
  return `${kind} (${peer}, ${scenario}, round ${round}): ${what}`;
}

/** `1 fault`, `2 faults`. */
export function countFaults(count: number): string {
  return count === 1 ? '1 fault' : `${count} faults`;
}

/** How it ended, in one sentence. */
export function verdictOf({ end, faults, trials, rows, baseline, missing }: Results): string {
  if (end === 'interrupted') return 'Interrupted: what was measured until then.';
  if (end === 'out of time') return 'Out of time: what was measured until then.';
  const [first] = faults;
  if (first) return `FAILED: ${countFaults(faults.length)}, the first: ${sayFault(first)}`;
  const sum = (of: (row: Results['rows'][number]) => number) => rows.reduce((total, row) => total + of(row), 0);
  const reconciled = trials.filter(({ isReconciled }) => isReconciled).length;
  const checked = `${writeNumber(sum(({ checkedBytes }) => checkedBytes) / 2 ** 20)} MiB`;
  const metrics =
    reconciled === 0
      ? `its counters were NOT compared: ${missing.find(({ name }) => name === metricsMissing)?.why ?? 'no server of this run has any'}`
      : `in all ${reconciled} loads on ${baseline} itself (of ${trials.length}), its counters added up with what the clients saw, and its gauges returned to zero`;
  return `Passed: ${writeNumber(sum(({ requests }) => requests))} answers had the right status, headers and length; ${checked} of them were compared by sha-256; ${metrics}.`;
}
