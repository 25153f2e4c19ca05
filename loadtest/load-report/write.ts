/** Puts the reports of a run into a folder of its own. @module */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { LoadtestOptions } from '../loadtest-options.ts';
import { renderHtml } from './html.ts';
import { type Results, withoutTrials } from './results.ts';
import { renderSummary } from './summary.ts';

/** @returns the folder */
export function writeReports(results: Results, { out, saveBaseline }: LoadtestOptions): string {
  const folder = resolve(out, results.startedAt.slice(0, 19).replaceAll(':', '-'));
  mkdirSync(folder, { recursive: true });
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write('results.json', `${JSON.stringify(results)}\n`);
  write('summary.md', renderSummary(results));
  write('report.html', renderHtml(results));
  // A run that was cut short is nothing to measure others by.
  if (saveBaseline !== undefined && results.end === 'complete') {
    writeFileSync(saveBaseline, prettyJson(withoutTrials(results)));
  }
  return folder;
}

const lineWidth = 120;

/** JSON as Biome lays it out: a file in the repository must pass `npm run lint`. */
export function prettyJson(value: unknown): string {
  const lists = /^(.*)\[\n\s+([^[\]{}]*?)\n\s+\](,?)$/gm;
  const text = JSON.stringify(value, undefined, 2).replace(lists, (long, before, entries, comma) => {
    const short = `${before}[${entries.replace(/,\n\s+/g, ', ')}]${comma}`;
    return short.length > lineWidth ? long : short;
  });
  return `${text}\n`;
}
