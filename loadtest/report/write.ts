/** Puts the reports of a run into a folder of its own. @module */
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type RunOptions, UsageError } from '../options.ts';
import { renderHtml } from './html.ts';
import { renderMarkdown } from './markdown.ts';
import { baselineOf, type Results } from './results.ts';

/**
 * Makes the folder of a run, before the run: an hour of load is not to be lost for a folder that can't be written.
 *
 * @throws UsageError
 */
export function makeFolder(
  { out, saveBaseline, document }: Pick<RunOptions, 'out' | 'saveBaseline' | 'document'>,
  at: Date,
): string {
  try {
    for (const path of [saveBaseline, document]) if (path !== undefined) tryFile(path);
    makeFolders(resolve(out));
    const folder = makeUnused(join(resolve(out), at.toISOString().slice(0, 19).replaceAll(':', '-')));
    tryFile(join(folder, 'results.json'));
    return folder;
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}

// What is there already stays as it is; what is not is not left behind, should the run fail.
function tryFile(path: string): void {
  const isNew = !existsSync(path);
  closeSync(openSync(path, 'a'));
  if (isNew) rmSync(path);
}

// One by one: with `recursive`, Node goes on for ever where a folder can't be made, as in /proc.
function makeFolders(path: string): void {
  if (existsSync(path)) return;
  makeFolders(dirname(path));
  mkdirSync(path);
}

// Two runs can begin in one second.
function makeUnused(name: string): string {
  for (let number = 1; ; number++) {
    const folder = number === 1 ? name : `${name}-${number}`;
    if (existsSync(folder)) continue;
    mkdirSync(folder);
    return folder;
  }
}

/** Puts the reports of a run into its folder. What others are measured by, or read, is written of whole runs only. */
export function writeReports(results: Results, folder: string, { saveBaseline, document }: RunOptions): void {
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const markdown = renderMarkdown(results);
  write('results.json', `${JSON.stringify(results)}\n`);
  write('summary.md', markdown);
  write('report.html', renderHtml(results));
  if (results.end !== 'complete') return;
  if (document !== undefined) writeFileSync(document, markdown);
  if (saveBaseline !== undefined) writeFileSync(saveBaseline, renderBaseline(results));
}

// A line for each row: changes can be read.
function renderBaseline(results: Results): string {
  const { rows, ...about } = baselineOf(results);
  const short = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(6)) : value);
  const lines = rows.map((row) => `    ${JSON.stringify(row, short)}`);
  return `{\n  "rows": [\n${lines.join(',\n')}\n  ],\n  ${JSON.stringify(about).slice(1)}\n`;
}
