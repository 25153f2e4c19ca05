/** What the figures say: in words, at a glance, and beside what is aimed for. @module */
import type { Goal } from '../model/scenario.ts';
import { allServers, rival } from '../servers/all.ts';
import type { Results } from './results.ts';
import type { Row } from './rows.ts';
import type { Spread } from './statistics.ts';
import { writeChange, writeList, writeNumber, writeSpread } from './text.ts';

/** More, fewer, or no telling: the rounds lie on both sides of 1. */
export function verdictOn({ min, max }: Spread): 'more' | 'fewer' | 'level' {
  if (min > 1) return 'more';
  return max < 1 ? 'fewer' : 'level';
}

/** Each scenario, and beside each server the service's requests/s and CPU of a request over that server's. */
export function overviewOf({ scenarios, rows, baseline }: Results): { head: string[]; lines: string[][] } {
  const compared = rows.filter(({ ratios, server }) => ratios && !server.startsWith(baseline));
  const servers = [...new Set(compared.map(({ server }) => server))];
  const names = scenarios.map(({ name }) => name).filter((name) => compared.some(({ scenario }) => scenario === name));
  const cell = (name: string, peer: string) => {
    const ratios = compared.find(({ scenario, server }) => scenario === name && server === peer)?.ratios;
    return ratios ? `${writeNumber(ratios.requests.median)}, ${writeNumber(ratios.cpu.median)}` : '–';
  };
  return {
    head: ['scenario', ...servers],
    lines: names.map((name) => [name, ...servers.map((peer) => cell(name, peer))]),
  };
}

/** What the service is beside each other server, what a writer costs readers, and what idle connections take. */
export function sentencesOf(results: Results): string[] {
  const { rows, baseline } = results;
  const others = [...new Set(rows.flatMap(({ server, ratios }) => (ratios ? [server] : [])))];
  const besides = others.flatMap((server) => sentenceOn(server, rows, baseline));
  const idle = rows.flatMap((row) =>
    row.idle ? [`${writeNumber(row.idle.residentBytes.median / 1024)} KiB for ${row.server}`] : [],
  );
  const goals = goalsOf(results);
  const met = goals.filter(({ isMet }) => isMet).length;
  return [
    ...(goals.length > 0 ? [`**${met} of ${goals.length} goals** are met: the table of goals names each.`] : []),
    ...besides,
    ...(idle.length > 0 ? [`**An idle connection** takes ${writeList(idle)}.`] : []),
  ];
}

function sentenceOn(server: string, rows: readonly Row[], baseline: string): string[] {
  const own = rows.flatMap((row) =>
    row.server === server && row.ratios && !row.idle ? [{ ...row, is: row.ratios }] : [],
  );
  if (own.length === 0) return [];
  // The same service with a writer: what it loses, beside itself without one.
  if (server.startsWith(`${baseline},`)) {
    const changes = own.map(({ scenario, is }) => `${writeChange(1 / is.requests.median - 1)} in ${scenario}`);
    return [`**${server}**: of the requests a second without a writer, readers get ${writeList(changes)}.`];
  }
  const words = { more: 'more requests a second in', level: 'about as many in', fewer: 'fewer requests a second in' };
  const clauses = (['more', 'level', 'fewer'] as const).flatMap((verdict) => {
    const found = own.filter(({ is }) => verdictOn(is.requests) === verdict);
    const parts = found.map(({ scenario, is }) => `${scenario} (${writeNumber(is.requests.median)} times)`);
    return parts.length === 0 ? [] : [`${words[verdict]} ${writeList(parts)}`];
  });
  return [`Beside **${server}**, ${baseline} answers ${clauses.join('; ')}.`];
}

/** One aim, and what was measured. */
export type GoalResult = Readonly<Record<'what' | 'aim' | 'measured', string>> & { readonly isMet: boolean };

type Limit = number | undefined;
type Bound = {
  readonly what: string;
  readonly least?: Limit;
  readonly most?: Limit;
  readonly is: Spread | null | undefined;
};

/** All goals of what was measured. The median counts. */
export function goalsOf({ scenarios, rows, baseline }: Pick<Results, 'scenarios' | 'rows' | 'baseline'>): GoalResult[] {
  return scenarios.flatMap(({ name, goals = [] }) => {
    const rowOf = (server: string) => rows.find((row) => row.scenario === name && row.server === server);
    const bounds = goals.flatMap((goal) => boundsOf(goal, rowOf, baseline));
    return bounds.flatMap((bound) => (bound.is ? [judged(name, bound, bound.is)] : []));
  });
}

function boundsOf(goal: Goal, rowOf: (server: string) => Row | undefined, baseline: string): Bound[] {
  const { over = rival.word, requests, cpu, p99, idleKibibytes, idleNativeBytes } = goal;
  const other = allServers.find(({ word }) => word === over)?.name ?? over;
  const [mine, ratios] = [rowOf(baseline)?.idle, rowOf(other)?.ratios];
  const theirs = rowOf(other)?.idle?.residentBytes.median;
  const more = (bytes: number) => (bytes - (theirs ?? Number.NaN)) / 1024;
  const { median, min, max } = mine?.residentBytes ?? { median: 0, min: 0, max: 0 };
  const beyond = mine && theirs !== undefined ? { median: more(median), min: more(min), max: more(max) } : null;
  const all: Bound[] = [
    { what: `requests/s over ${other}`, least: requests, is: ratios?.requests },
    { what: `server CPU over ${other}`, most: cpu, is: ratios?.cpu },
    { what: `p99 over ${other}`, most: p99, is: ratios?.p99 },
    { what: `KiB beyond ${other}`, most: idleKibibytes, is: beyond },
    { what: 'native bytes of an idle connection', most: idleNativeBytes, is: mine?.nativeBytes },
  ];
  return all.filter(({ least, most }) => least !== undefined || most !== undefined);
}

function judged(name: string, { what, least, most }: Bound, is: Spread): GoalResult {
  const aim = least === undefined ? `≤ ${writeNumber(most ?? Number.NaN)}` : `≥ ${writeNumber(least)}`;
  const isMet = is.median >= (least ?? Number.NEGATIVE_INFINITY) && is.median <= (most ?? Number.POSITIVE_INFINITY);
  return { what: `${name}: ${what}`, aim, measured: writeSpread(is), isMet };
}

/** A goal as cells of a table with this head. */
export const goalsHead = ['what', 'goal', 'measured', 'met'];
export function goalCells({ what, aim, measured, isMet }: GoalResult): string[] {
  return [what, aim, measured, isMet ? 'yes' : '**no**'];
}
