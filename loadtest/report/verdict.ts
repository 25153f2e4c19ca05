/** What the figures say in words. @module */
import type { Row, SizeTable } from './comparison.ts';
import type { Spread } from './statistics.ts';
import { writeList, writeNumber, writeSize } from './units.ts';

/** More, fewer, or no telling: the rounds lie on both sides of 1. */
export type Verdict = 'more' | 'fewer' | 'level';

/** What the rounds agree on. */
export function verdictOf({ min, max }: Spread): Verdict {
  if (min > 1) return 'more';
  return max < 1 ? 'fewer' : 'level';
}

type Compared = { readonly size: number; readonly row: Row; readonly ratios: NonNullable<Row['ratios']> };

const words: Readonly<Record<Verdict, string>> = {
  more: 'more requests a second at',
  level: 'about as many at',
  fewer: 'fewer requests a second at',
};

/** What the baseline is beside one peer, over all sizes; undefined for the baseline itself. */
export function sentenceOf(tables: readonly SizeTable[], baseline: string, peer: string): string | undefined {
  const compared = tables.flatMap(({ size, rows }) => {
    const row = rows.find((candidate) => candidate.peer === peer);
    return row?.ratios ? [{ size, row, ratios: row.ratios }] : [];
  });
  if (compared.length === 0) return undefined;
  const rates = (['more', 'level', 'fewer'] as const).flatMap((verdict) => rateClause(compared, verdict));
  const cpu = compared.map(({ size, ratios }) => `${writeNumber(ratios.cpu.median)} times at ${writeSize(size)}`);
  return `Beside **${peer}**, ${baseline} answers ${rates.join('; ')}. Of its CPU per request it uses ${writeList(cpu)}.${limits(compared)}`;
}

function rateClause(compared: readonly Compared[], verdict: Verdict): string[] {
  const sizes = compared
    .filter(({ ratios }) => verdictOf(ratios.requests) === verdict)
    .map(({ size, ratios }) => `${writeSize(size)} (${writeNumber(ratios.requests.median)} times)`);
  return sizes.length === 0 ? [] : [`${words[verdict]} ${writeList(sizes)}`];
}

/** A server that leaves so much of its processor unused was not what limited the rate. */
const idleShare = 0.1;

function limits(compared: readonly Compared[]): string {
  const sizes = compared
    .filter(({ row }) => row.serverBusy < 1 - idleShare)
    .map(({ size, row }) => `${writeSize(size)} (${percent(row.serverBusy)} busy)`);
  return sizes.length === 0 ? '' : ` Its rate was not limited by its own processor alone at ${writeList(sizes)}.`;
}

/** A share of a processor. */
export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
