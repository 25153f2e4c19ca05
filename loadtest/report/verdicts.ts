/** What the figures say: in words, at a glance, and beside what is aimed for. @module */
import type { Goal } from '../model/scenario.ts';
import { allServers, rival } from '../servers/all.ts';
import type { Results } from './results.ts';
import type { Table } from './row-cells.ts';
import type { Row } from './rows.ts';
import { type Spread, spreadOf } from './statistics.ts';
import { writeChange, writeList, writeNumber, writeSpread } from './text.ts';

/** More, fewer, or no telling: the rounds lie on both sides of 1. */
export function verdictOn({ min, max }: Spread): 'more' | 'fewer' | 'level' {
  if (min > 1) return 'more';
  return max < 1 ? 'fewer' : 'level';
}

/** Each scenario, and beside each server the service's requests/s and CPU of a request over that server's. */
export function overviewOf({ scenarios, rows, baseline }: Results): Table {
  const compared = rows.filter(({ ratios, server }) => ratios && !server.startsWith(baseline));
  const servers = [...new Set(compared.map(({ server }) => server))];
  const names = scenarios.map(({ name }) => name).filter((name) => compared.some(({ scenario }) => scenario === name));
  const cell = (name: string, peer: string) => {
    const ratios = compared.find(({ scenario, server }) => scenario === name && server === peer)?.ratios;
    return ratios ? `${writeNumber(ratios.requests.median)}, ${writeNumber(ratios.cpu.median)}` : '–';
  };
  return {
    title: `${baseline} over each other server`,
    about: 'requests/s, then CPU of a request: above 1 is good for the first, bad for the second',
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

/** All goals of what was measured. The median counts. */
export function goalsOf({ scenarios, rows, baseline }: Pick<Results, 'scenarios' | 'rows' | 'baseline'>) {
  return scenarios.flatMap(({ name, goals = [] }) => {
    const rowOf = (server: string) => rows.find((row) => row.scenario === name && row.server === server);
    const results = goals.flatMap((goal) => resultsOf(goal, rowOf, baseline));
    return results.map((result) => ({ ...result, what: `${name}: ${result.what}` }));
  });
}

function resultsOf(goal: Goal, rowOf: (server: string) => Row | undefined, baseline: string) {
  const { over = rival.word, requests, cpu, p99, idleKibibytes, idleNativeBytes } = goal;
  const other = allServers.find(({ word }) => word === over)?.name ?? over;
  const [mine, ratios] = [rowOf(baseline)?.idle, rowOf(other)?.ratios];
  const theirs = rowOf(other)?.idle?.residentBytes.median;
  const beyond =
    mine && theirs !== undefined && spreadOf(Object.values(mine.residentBytes).map((is) => (is - theirs) / 1024));
  const judged = (what: string, sign: '≥' | '≤', aim: number | undefined, is: Spread | false | null | undefined) => {
    if (aim === undefined || !is) return [];
    const isMet = sign === '≥' ? is.median >= aim : is.median <= aim;
    return [{ what, aim: `${sign} ${writeNumber(aim)}`, measured: writeSpread(is), isMet }];
  };
  return [
    ...judged(`requests/s over ${other}`, '≥', requests, ratios?.requests),
    ...judged(`server CPU over ${other}`, '≤', cpu, ratios?.cpu),
    ...judged(`p99 over ${other}`, '≤', p99, ratios?.p99),
    ...judged(`KiB beyond ${other}`, '≤', idleKibibytes, beyond),
    ...judged('native bytes of an idle connection', '≤', idleNativeBytes, mine?.nativeBytes),
  ];
}

/** The goals in cells. */
export function goalsTable(results: Results): Table {
  const lines = goalsOf(results).map(({ what, aim, measured, isMet }) => {
    return [what, aim, measured, isMet ? 'yes' : '**no**'];
  });
  const about = 'The median counts; in brackets the smallest and the largest of the rounds.';
  return { title: 'Goals', about, head: ['what', 'goal', 'measured', 'met'], lines };
}
