/**
 * Two runs side by side, by ratios: each is the service over another server of the same run, so that a slower machine
 * is slower for both. Absolute figures of two runs are never compared. @module
 */

import type { Baseline } from './results.ts';
import type { Spread } from './statistics.ts';
import { percent, renderRows, writeNumber, writeSpread } from './text.ts';

/** A run that failed is worse, and so is one that has nothing in common with the old one. */
export function compareResults(old: Baseline, newer: Baseline, threshold: number) {
  const figures: ReturnType<typeof judge>[] = [];
  // In the old one only, or by another client.
  const lost = new Set<string>();
  for (const { scenario, server, client, ratios: was } of old.rows) {
    if (!was) continue;
    const there = newer.rows.filter((row) => row.scenario === scenario);
    // Another client asks in another way: a server's CPU is then another one, too.
    const now = there.find((row) => row.server === server && row.client === client)?.ratios;
    // Of a scenario that the new run has left out altogether, its name is enough.
    if (!now) lost.add(there.length === 0 ? scenario : `${scenario}, ${server}`);
    if (!now) continue;
    const isTold = [old, newer].every(({ rows, baseline }) =>
      rows.every((row) => row.scenario !== scenario || ![server, baseline].includes(row.server) || tells(row)),
    );
    const place = { scenario, server };
    if (isTold) figures.push(judge({ ...place, figure: 'requests/s' }, was.requests, now.requests, threshold));
    figures.push(judge({ ...place, figure: 'CPU' }, was.cpu, now.cpu, threshold));
  }
  const told = figures.filter(({ worseBy }) => Number.isFinite(worseBy));
  // Why they can't be compared at all.
  const refused = [
    ...(newer.end === 'complete' ? [] : [`the new run did not end well: ${newer.end}`]),
    ...(told.length === 0 ? ['the two runs have no ratio in common'] : []),
  ];
  const isWorse = refused.length > 0 || told.some((figure) => figure.isWorse);
  return { baseline: newer.baseline, threshold, figures: told, lost: [...lost], refused, isWorse };
}

// A rate that the client limited, or was told, says nothing about who answered.
function tells({ limit }: Baseline['rows'][number]): boolean {
  return limit !== 'client' && limit !== 'rate' && limit !== 'readers';
}

/** Which figure of one server in one scenario. */
type Figure = { readonly scenario: string; readonly server: string; readonly figure: 'requests/s' | 'CPU' };

// Worse only when no round of one run reaches the other's: a median of few rounds moves by itself.
function judge(of: Figure, old: Spread, now: Spread, threshold: number) {
  const isBetterMore = of.figure === 'requests/s';
  // How much worse the median is: 0.1 is 10 %; negative is better.
  const worseBy = isBetterMore ? old.median / now.median - 1 : now.median / old.median - 1;
  const isApart = isBetterMore ? now.max < old.min : now.min > old.max;
  return { ...of, old, new: now, worseBy, isWorse: worseBy > threshold && isApart };
}

/** As Markdown, the worst first. */
export function renderComparison(comparison: ReturnType<typeof compareResults>): string {
  const { baseline, threshold, figures, lost, refused, isWorse } = comparison;
  const sorted = [...figures].sort((a, b) => b.worseBy - a.worseBy);
  const head = ['scenario', `${baseline} over`, 'figure', 'old ratio', 'new ratio', 'change', ''];
  const rows = sorted.map(({ scenario, server, figure, old, new: now, worseBy, isWorse: worse }) => [
    ...[scenario, server, figure, writeSpread(old), writeSpread(now)],
    worseBy > 0 ? `${percent(worseBy)} worse` : `${percent(-worseBy)} better`,
    worse ? '**WORSE**' : '',
  ]);
  const count = figures.filter((figure) => figure.isWorse).length;
  const verdict = isWorse
    ? `WORSE: ${[...refused, ...(count > 0 ? [`${count} of ${figures.length} ratios by more than ${percent(threshold)}, and in every round`] : [])].join('; ')}.`
    : `Not worse: none of ${writeNumber(figures.length)} ratios by more than ${percent(threshold)} in every round.`;
  const missing = lost.length > 0 ? `\n\nIn the old run only, or by another client: ${lost.join('; ')}.` : '';
  return `${renderRows(head, rows, 3)}${missing}\n\n${verdict}`;
}
