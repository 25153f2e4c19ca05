/** How numbers are written, and tables of them, in Markdown and in columns. @module */
import type { Spread } from './statistics.ts';

/** Writes a number of bytes in the largest unit that leaves it whole: `4 KiB`. */
export function writeSize(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let at = 0;
  let value = bytes;
  for (; at < units.length - 1 && value !== 0 && value % 1024 === 0; at++) value /= 1024;
  return `${value} ${units[at]}`;
}

/** Three digits that count, and all of those before the point: `12,345`, `12.3`, `0.0123`. */
export function writeNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return value === 0 ? '0' : Number(value.toPrecision(3)).toString();
}

/** A list in a sentence. */
export function writeList(parts: readonly string[]): string {
  if (parts.length < 2) return parts.join('');
  return `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}

/** `42 %`. */
export function percent(share: number): string {
  return `${writeNumber(Math.round(share * 100))} %`;
}

/** `+4.2 %`, `−12 %`: with a sign that can't be overlooked. */
export function writeChange(share: number): string {
  const text = writeNumber(Math.round(share * 1000) / 10);
  return `${share > 0 && text !== '0' ? `+${text}` : text.replace('-', '−')} %`;
}

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
