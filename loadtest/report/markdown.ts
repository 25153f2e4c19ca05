/** The report as Markdown, to paste or to keep, and for a terminal. @module */
import { conditionsOf, notesOf } from './notes.ts';
import type { Results } from './results.ts';
import { tablesOf } from './row-cells.ts';
import { alignColumns, renderRows } from './table.ts';
import { writeNumber } from './units.ts';
import { goalCells, goalsHead, goalsOf, overviewOf, sentencesOf } from './verdicts.ts';
import { sayFault, verdictOf } from './words.ts';

/** All figures, and how to take them. */
export function renderMarkdown(results: Results): string {
  const { baseline, conditions, seconds, startedAt, faults } = results;
  const tables = tablesOf(results).map(({ title, about, head, lines }) => {
    return `## ${title}\n\n${about}\n\n${renderRows(head, lines, 2)}`;
  });
  const sections = [
    `# ${baseline} under load\n\n\`${conditions.command}\`, ${startedAt.slice(0, 16).replace('T', ' ')} UTC, ${writeNumber(seconds / 60)} minutes. Written by this command; not edited.`,
    `**${verdictOf(results)}**`,
    ...(faults.length > 0 ? [list(faults.map(sayFault))] : []),
    ...overview(results),
    ...goals(results),
    ...tables,
    `## How to read it\n\n${list(notesOf(results))}`,
    `## Conditions\n\n${list(conditionsOf(results))}`,
  ];
  return `${sections.join('\n\n')}\n`;
}

function overview(results: Results): string[] {
  const { head, lines } = overviewOf(results);
  if (lines.length === 0) return [];
  const about = `${results.baseline} over each other server: requests/s, then CPU of a request. Above 1 is good for the first, bad for the second.`;
  return [`## In short\n\n${about}\n\n${renderRows(head, lines, 1)}`, list(sentencesOf(results))];
}

function goals(results: Results): string[] {
  const all = goalsOf(results);
  if (all.length === 0) return [];
  return [
    `## Goals\n\nThe median counts; in brackets the smallest and the largest of the rounds.\n\n${renderRows(goalsHead, all.map(goalCells), 1)}`,
  ];
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join('\n');
}

/** The tables for a terminal, in columns, and what was wrong. */
export function renderTerminal(results: Results): string {
  const tables = tablesOf(results).map(({ title, about, head, lines }) => {
    return `${title}: ${about}\n${alignColumns([head, ...lines])}`;
  });
  const { head, lines } = overviewOf(results);
  const short =
    lines.length === 0
      ? []
      : [`in short (requests/s, CPU: ${results.baseline} over it)\n${alignColumns([head, ...lines])}`];
  return [...tables, ...short, ...results.faults.map((fault) => `*** ${sayFault(fault)}`)].join('\n\n');
}
