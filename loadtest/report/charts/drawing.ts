/**
 * Charts as SVG in the report itself, drawn here and not in the reader's browser by Observable Plot: they need no script
 * there, are sharp on paper, and take their colours from the page's style, light or dark. @module
 */
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';

export { Plot };

/** Of one chart, in its own units: about what a phone is wide. */
export const chartWidth = 440;

/** So many colours there are; the page's style says which (html-style.ts). */
const colours = 12;

/** The colour of the n-th of something. */
export function colourOf(index: number): string {
  return `var(--c${index % colours})`;
}

/** A chart with its heading. */
export type Chart = {
  /** Names it for tests and links. */
  readonly id: string;
  readonly title: string;
  /** What the axes mean, where that is not plain. */
  readonly note?: string;
  readonly svg: string;
  readonly isWide?: boolean;
};

/** Draws; as SVG text. */
export function draw(options: Plot.PlotOptions): string {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const drawing = Plot.plot({
    width: chartWidth,
    style: { fontSize: '12px', overflow: 'visible', background: 'none' },
    ...options,
    document,
  });
  return drawing.outerHTML;
}

/** A legend for colours that several charts share. */
export function legend(names: readonly string[], colour: (index: number) => string = colourOf): string {
  const entries = names.map((name, at) => `<li><i style="background:${colour(at)}"></i>${escapeHtml(name)}</li>`);
  return `<ul class="legend">${entries.join('')}</ul>`;
}

/** Text that can stand between tags and in attributes. */
export function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => entities[character] ?? '');
}
