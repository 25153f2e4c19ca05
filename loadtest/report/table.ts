/** Tables, in Markdown and in columns. @module */
import type { Spread } from './statistics.ts';
import { writeNumber } from './units.ts';

/** Cells in lines; the first `texts` columns are no numbers. */
export function renderRows(head: readonly string[], rows: readonly (readonly string[])[], texts: number): string {
  const rule = head.map((_, at) => (at < texts ? '---' : '---:'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Cells under each other; the first column to the left, the others to the right. */
export function alignColumns(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, at) => Math.max(...lines.map((cells) => [...(cells[at] ?? '')].length)));
  const pad = (cell: string, at: number) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0));
  return lines.map((cells) => cells.map(pad).join('  ').trimEnd()).join('\n');
}

/** `1.25 (1.2..1.31)`, in a unit; nothing of nothing. */
export function writeSpread(spread: Spread | null | undefined, unit = 1): string {
  if (!spread) return '';
  const [median, min, max] = [spread.median, spread.min, spread.max].map((value) => writeNumber(value / unit));
  return `${median} (${min}..${max})`;
}
