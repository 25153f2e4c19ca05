/** The page's files, read once: there are few, and no path of a request ever reaches the file system. @module */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** A file as it is served. */
export type Asset = {
  /** Its address below the page's own: none for the page itself. */
  readonly path: string;
  readonly contentType: string;
  readonly body: Buffer;
};

const types = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
} as const;

const own = [
  'page.css',
  'main.js',
  'announce.js',
  'charts.js',
  'format.js',
  'icon.svg',
  'live.js',
  'page-map.js',
  'rates.js',
  'regions.js',
  'tables.js',
  'theme.js',
  'tiles.js',
] as const;

/** The chart library's, from its package. */
const charts = { 'uplot.js': 'uplot/dist/uPlot.iife.min.js', 'uplot.css': 'uplot/dist/uPlot.min.css' } as const;

/** Reads the page. @throws SystemError when a file is missing */
export function readAssets(): readonly Asset[] {
  const { resolve } = createRequire(import.meta.url);
  const ours = (name: string) => new URL(`./assets/${name}`, import.meta.url);
  return [
    assetOf('', 'html', ours('index.html')),
    ...own.map((name) => assetOf(`page/${name}`, endingOf(name), ours(name))),
    ...Object.entries(charts).map(([name, path]) => assetOf(`page/${name}`, endingOf(name), resolve(path))),
  ];
}

function assetOf(path: string, ending: keyof typeof types, file: string | URL): Asset {
  return { path, contentType: types[ending], body: readFileSync(file) };
}

function endingOf(name: string): keyof typeof types {
  return name.slice(name.lastIndexOf('.') + 1) as keyof typeof types;
}
