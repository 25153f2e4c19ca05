/** Puts the reports of a run into a folder of its own. @module */
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { LoadtestOptions } from '../loadtest-options.ts';
import { UsageError } from '../options.ts';
import { renderHtml } from './html.ts';
import { type Results, withoutTrials } from './results.ts';
import { renderSummary } from './summary.ts';

/**
 * Makes the folder of a run, before the run: an hour of load is not to be lost for a folder that can't be written.
 *
 * @throws UsageError
 */
export function makeFolder({ out, saveBaseline }: Pick<LoadtestOptions, 'out' | 'saveBaseline'>, at: Date): string {
  try {
    if (saveBaseline !== undefined) tryFile(saveBaseline);
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
    try {
      mkdirSync(folder);
      return folder;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** Puts the reports of a run into its folder. */
export function writeReports(results: Results, folder: string, saveBaseline: string | undefined): void {
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write('results.json', `${JSON.stringify(results)}\n`);
  write('summary.md', renderSummary(results));
  write('report.html', renderHtml(results));
  // A run that was cut short is nothing to measure others by.
  if (saveBaseline !== undefined && results.end === 'complete') {
    writeFileSync(saveBaseline, prettyJson(withoutTrials(results)));
  }
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
