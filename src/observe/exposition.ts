/**
 * Prometheus's text format 0.0.4 and OpenMetrics 1.0. The library can't write both from one registry: its first
 * OpenMetrics text takes `_total` away from its counters for good.
 *
 * @module
 */
import type { Family, Labels } from './family.ts';

/** How a format is called, and how families are written in it. */
export type Format = {
  readonly name: 'plainText' | 'openMetrics';
  readonly contentType: string;
  write(families: readonly Family[]): string;
};

/** Prometheus's own, which everything reads. */
export const plainText: Format = {
  name: 'plainText',
  contentType: 'text/plain; version=0.0.4; charset=utf-8',
  write: (families) => `${families.map((family) => lines(family, family.name, String)).join('\n\n')}\n`,
};

/** OpenMetrics: a counter's family is called without `_total`, bounds are floats, and it has an end. */
export const openMetrics: Format = {
  name: 'openMetrics',
  contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  write: (families) => `${families.map(openMetricsLines).join('\n')}\n# EOF\n`,
};

/** The format that an Accept field asks for (RFC 9110 12.5.1): OpenMetrics where it is named and nothing is liked more. */
export function formatFor(accept: string | undefined): Format {
  const wanted = (accept ?? '').split(',').map(parseRange);
  const quality = (type: string) => Math.max(0, ...wanted.filter((range) => range.type === type).map(({ q }) => q));
  const open = quality('application/openmetrics-text');
  return open > 0 && open >= quality('text/plain') ? openMetrics : plainText;
}

function parseRange(text: string): { type: string; q: number } {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const given = parameters.find((parameter) => parameter.startsWith('q='));
  const q = given === undefined ? 1 : Number(given.slice(2));
  return { type, q: Number.isNaN(q) ? 0 : q };
}

function openMetricsLines(family: Family): string {
  const name = family.type === 'counter' ? family.name.replace(/_total$/, '') : family.name;
  const unit = /_(seconds|bytes|ratio)$/.exec(name)?.[1];
  return lines(family, name, float, unit === undefined ? [] : [`# UNIT ${name} ${unit}`]);
}

function lines(family: Family, name: string, bound: (le: number) => string, more: readonly string[] = []): string {
  const series = family.type === 'counter' ? family.name : name;
  const samples = family.samples.map(
    ({ suffix = '', labels, written, value }) =>
      `${series}${suffix}${written ?? labelText(labels, bound)} ${number(value)}`,
  );
  return [`# HELP ${name} ${escaped(family.help)}`, `# TYPE ${name} ${family.type}`, ...more, ...samples].join('\n');
}

/** Labels that are no bounds, which the two formats spell differently, as they stand in both. */
export function writeLabels(labels: Readonly<Record<string, string>>): string {
  return labelText(labels, String);
}

function labelText(labels: Labels | undefined, bound: (le: number) => string): string {
  if (!labels) return '';
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${labelValue(value, bound)}"`);
  return parts.length > 0 ? `{${parts.join(',')}}` : '';
}

function labelValue(value: string | number, bound: (le: number) => string): string {
  if (typeof value === 'string') return escaped(value);
  return Number.isFinite(value) ? bound(value) : number(value);
}

/** The spelling that OpenMetrics wants of bounds: 5.0, not 5. */
function float(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

function number(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

// It escapes quotes in help, too: OpenMetrics allows that, and there are none.
function escaped(text: string): string {
  return /[\\\n"]/.test(text) ? text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"') : text;
}
