/** The report as Markdown, to paste or to keep, and for a terminal. @module */

import type { Results } from './results.ts';
import { type Table, tablesOf } from './row-cells.ts';
import { alignColumns, renderRows, writeNumber } from './text.ts';
import { goalsTable, overviewOf, sentencesOf } from './verdicts.ts';
import { conditionsOf, notesOf, sayFault, verdictOf } from './words.ts';

/** All figures, and how to take them. */
export function renderMarkdown(results: Results): string {
  const { baseline, conditions, seconds, startedAt, faults } = results;
  const overview = overviewOf(results);
  const sections = [
    `# ${baseline} under load\n\n\`${conditions.command}\`, ${startedAt.slice(0, 16).replace('T', ' ')} UTC, ${writeNumber(seconds / 60)} minutes. Written by this command; not edited.`,
    `**${verdictOf(results)}**`,
    list(faults.map(sayFault)),
    ...section({ ...overview, title: 'In short', about: `${overview.title}: ${overview.about}.` }, 1),
    overview.lines.length === 0 ? '' : list(sentencesOf(results)),
    ...section(goalsTable(results), 1),
    ...tablesOf(results).flatMap((table) => section(table, 2)),
    `## How to read it\n\n${list(notesOf(results))}`,
    `## Conditions\n\n${list(conditionsOf(results))}`,
  ];
  return `${sections.filter(Boolean).join('\n\n')}\n`;
}

function section({ title, about, head, lines }: Table, texts: number): string[] {
  return lines.length === 0 ? [] : [`## ${title}\n\n${about}\n\n${renderRows(head, lines, texts)}`];
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join('\n');
}

/** The tables for a terminal, in columns, and what was wrong. */
export function renderTerminal(results: Results): string {
  const title = `in short (requests/s, CPU: ${results.baseline} over it)`;
  const tables = tablesOf(results).map((table) => ({ ...table, title: `${table.title}: ${table.about}` }));
  const shown = [...tables, { ...overviewOf(results), title }].filter(({ lines }) => lines.length > 0);
  const texts = shown.map((table) => `${table.title}\n${alignColumns([table.head, ...table.lines])}`);
  return [...texts, ...results.faults.map((fault) => `*** ${sayFault(fault)}`)].join('\n\n');
}
