/** The summary that can be pasted: Markdown. @module */
import { renderRows } from '../report/table.ts';
import { writeNumber } from '../report/units.ts';
import { conditionsOf, notesOf } from './notes.ts';
import type { Results } from './results.ts';
import { cellsOf, groupsOf, headOf } from './row-cells.ts';
import { sayFault, verdictOf } from './words.ts';

/** All figures, and how to take them. */
export function renderSummary(results: Results): string {
  const { baseline, conditions, seconds, startedAt } = results;
  const tables = groupsOf(results).map(({ title, about, by, rows }) => {
    const cells = rows.map((row) => cellsOf(row, by));
    return `## ${title}\n\n${about}\n\n${renderRows(headOf(by), cells, 2)}`;
  });
  const sections = [
    `# ${baseline} under load\n\n\`${conditions.command}\`, ${startedAt.slice(0, 16).replace('T', ' ')} UTC, ${writeNumber(seconds)} s`,
    `**${verdictOf(results)}**`,
    ...(results.faults.length > 0 ? [results.faults.map((fault) => `- ${sayFault(fault)}`).join('\n')] : []),
    ...tables,
    `## How to read it\n\n${list(notesOf(results))}`,
    `## Conditions\n\n${list(conditionsOf(results))}`,
  ];
  return `${sections.join('\n\n')}\n`;
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join('\n');
}
