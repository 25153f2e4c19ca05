/** Tables in Markdown. @module */
import type { Row } from './comparison.ts';
import type { Spread } from './statistics.ts';
import { writeNumber } from './units.ts';
import { percent } from './verdict.ts';

/** Cells in lines; the first `texts` columns are no numbers. */
export function renderRows(head: readonly string[], rows: readonly (readonly string[])[], texts: number): string {
  const rule = head.map((_, at) => (at < texts ? '---' : '---:'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** The head over cells of a row and its ratios. */
export function headOf(baseline: string): string[] {
  const figures = ['requests/s', 'MB/s', 'CPU µs/request', 'CPU s/GB', 'busy: server, client', 'p50 µs', 'p99 µs'];
  return ['server', ...figures, `requests/s: ${baseline} / it`, `CPU: ${baseline} / it`];
}

/** What was measured, without what it is compared with. */
export function cellsOf(row: Row): string[] {
  return [
    row.peer,
    writeNumber(row.requestsPerSecond),
    writeNumber(row.megabytesPerSecond),
    writeNumber(row.cpuMicrosecondsPerRequest),
    writeNumber(row.cpuSecondsPerGigabyte),
    `${percent(row.serverBusy)}, ${percent(row.clientBusy)}`,
    writeNumber(row.p50),
    writeNumber(row.p99),
  ];
}

/** `1.25 (1.2..1.31)`. */
export function writeSpread(spread: Spread | undefined): string {
  if (!spread) return '';
  return `${writeNumber(spread.median)} (${writeNumber(spread.min)}..${writeNumber(spread.max)})`;
}
