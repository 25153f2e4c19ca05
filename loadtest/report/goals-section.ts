/** The part of the report that holds what was measured against what is aimed for. @module */
import { type Goal, isMet } from './goals.ts';
import { renderRows, writeSpread } from './table.ts';
import { writeNumber } from './units.ts';

/** How many goals are reached; undefined when none was measured. */
export function sentenceOnGoals(goals: readonly Goal[]): string | undefined {
  const measured = goals.filter((goal) => isMet(goal) !== undefined);
  if (measured.length === 0) return undefined;
  const met = measured.filter((goal) => isMet(goal)).length;
  const unmeasured = goals.length - measured.length;
  const rest = unmeasured > 0 ? `, and ${unmeasured} were not measured` : '';
  return `**${met} of ${measured.length} goals** are met${rest}: the table below names each.`;
}

/** The table of goals. */
export function renderGoals(goals: readonly Goal[]): string {
  const rows = goals.map((goal) => [goal.what, writeGoal(goal), writeMeasured(goal), verdictOn(goal)]);
  return `## Goals

The median counts; in brackets the smallest and the largest of the rounds.

${renderRows(['what', 'goal', 'measured', 'met'], rows, 1)}`;
}

function writeGoal({ atLeast, atMost, unit }: Goal): string {
  const bound = atLeast === undefined ? `≤ ${writeNumber(atMost ?? Number.NaN)}` : `≥ ${writeNumber(atLeast)}`;
  return unit === undefined ? bound : `${bound} ${unit}`;
}

function writeMeasured(goal: Goal): string {
  return isMet(goal) === undefined ? 'not measured' : writeSpread(goal.measured);
}

function verdictOn(goal: Goal): string {
  const met = isMet(goal);
  if (met === undefined) return '–';
  return met ? 'yes' : '**no**';
}
