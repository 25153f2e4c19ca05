/** The report for a terminal: the Markdown tables, in columns. @module */

import type { Results } from './results.ts';
import { cellsOf, groupsOf, headOf } from './row-cells.ts';
import { sayFault } from './words.ts';

/** One table for each scenario, and what was wrong. */
export function renderTerminal(results: Results): string {
  const tables = groupsOf(results).map(({ title, about, by, rows }) => {
    return `${title}: ${about}\n${alignColumns([headOf(by), ...rows.map((row) => cellsOf(row, by))])}`;
  });
  return [...tables, ...results.faults.map((fault) => `*** ${sayFault(fault)}`)].join('\n\n');
}

/** Cells under each other; the first column to the left, the others to the right. */
export function alignColumns(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, at) => Math.max(...lines.map((cells) => [...(cells[at] ?? '')].length)));
  return lines
    .map((cells) =>
      cells
        .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
