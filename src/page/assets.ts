/** The page's files, read once: no path of a request ever reaches the file system. @module */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { contentTypeOf } from '../region/content-type.ts';

/** A file as it is served. */
export type Asset = {
  /** Its address below the page's own: empty for the page itself. */
  readonly path: string;
  readonly contentType: string;
  readonly body: Buffer;
};

/** The chart library's files, which come from its package. */
const charts = { 'uplot.js': 'uplot/dist/uPlot.iife.min.js', 'uplot.css': 'uplot/dist/uPlot.min.css' } as const;

/** Reads the page. @throws Error when a file is missing */
export function readAssets(): readonly Asset[] {
  const { resolve } = createRequire(import.meta.url);
  const folder = new URL('./assets/', import.meta.url);
  const own = readdirSync(folder).map((name) => assetOf(name, new URL(name, folder)));
  return [...own, ...Object.entries(charts).map(([name, path]) => assetOf(name, resolve(path)))];
}

function assetOf(name: string, file: string | URL): Asset {
  const path = name === 'index.html' ? '' : `page/${name}`;
  return { path, contentType: contentTypeOf(name), body: readFileSync(file) };
}
