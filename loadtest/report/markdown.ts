/** The report. Everything in it comes from the run. @module */
import type { Machine } from '../measure/machine.ts';
import type { Pins } from '../measure/pin.ts';
import { compare, type SizeTable } from './comparison.ts';
import { lineOf, renderConnections, renderCores, renderFresh, renderRate, sentencesOnDuels } from './duels.ts';
import { goalsOf } from './goals.ts';
import { renderGoals, sentenceOnGoals } from './goals-section.ts';
import { renderIdle, sentenceOnIdle } from './idle-section.ts';
import { renderNode } from './node-section.ts';
import type { Cast, Results } from './results.ts';
import { headOf, renderRows } from './table.ts';
import { writeNumber, writeSize } from './units.ts';
import { sentenceOf } from './verdict.ts';
import { sentenceOnWriting } from './writing.ts';
import { renderWriting } from './writing-section.ts';

/** What a report tells of. */
export type Report = {
  readonly machine: Machine;
  /** Of TCP, where nobody asks for another. */
  readonly congestionControl: string;
  readonly pins: Pins | undefined;
  readonly command: string;
  /** What the run took. */
  readonly minutes: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly regionBytes: number;
  readonly wholeBytes: number;
  readonly cast: Cast;
  readonly peers: readonly { readonly name: string; readonly about: string }[];
  /** What could not run, and why. */
  readonly missing: readonly { readonly name: string; readonly why: string }[];
  readonly results: Results;
};

/** Below this many rounds the spread says nothing. */
const fewRounds = 3;

/** The report as Markdown. */
export function renderReport(report: Report): string {
  const { results, cast, wholeBytes } = report;
  const tables = compare(results.servers ?? [], cast.baseline);
  const goals = goalsOf(results, cast);
  const sections = [
    `# Benchmarks\n\nWritten by \`${report.command}\` in ${writeNumber(report.minutes)} minutes; not edited.`,
    renderVerdicts(report, tables),
    renderGoals(goals),
    ...tables.map((table) => renderTable(table, cast.baseline, wholeBytes)),
    ...(results.connections ? [renderConnections(results.connections, cast)] : []),
    ...(results.rate ? [renderRate(results.rate, cast)] : []),
    ...(results.fresh ? [renderFresh(results.fresh, cast)] : []),
    ...(results.cores ? [renderCores(results.cores, cast)] : []),
    ...(results.node ? [renderNode(results.node)] : []),
    ...(results.idle ? [renderIdle(results.idle)] : []),
    ...(results.writing ? [renderWriting(results.writing)] : []),
    renderReading(report),
    renderConditions(report),
  ];
  return `${sections.join('\n\n')}\n`;
}

function renderVerdicts({ results, cast, peers, rounds }: Report, tables: readonly SizeTable[]): string {
  const { idle, writing } = results;
  const sentences = [
    sentenceOnGoals(goalsOf(results, cast)),
    ...peers.map(({ name }) => sentenceOf(tables, cast.baseline, name)),
    ...sentencesOnDuels(results, cast),
    idle && sentenceOnIdle(idle),
    writing && sentenceOnWriting(writing.tables, writing.rate, writing.size),
  ].filter((sentence) => sentence !== undefined);
  const warning = rounds < fewRounds ? [`*Of ${roundsOf(rounds)} only: a try, no result.*`] : [];
  return ['## In words', ...warning, sentences.map((sentence) => `- ${sentence}`).join('\n')].join('\n\n');
}

function renderTable({ size, connections, rows }: SizeTable, baseline: string, wholeBytes: number): string {
  const what = size === wholeBytes ? `The whole of ${writeSize(size)}, without Range` : `Ranges of ${writeSize(size)}`;
  const table = renderRows(headOf(baseline), rows.map(lineOf), 1);
  return `## ${what}\n\n${connections} connections.\n\n${table}`;
}

function roundsOf(count: number): string {
  return count === 1 ? '1 round' : `${count} rounds`;
}

function renderReading({ cast, rounds, seconds, regionBytes, wholeBytes }: Report): string {
  const { baseline } = cast;
  return `## How to read it

- Figures are medians of ${roundsOf(rounds)} (of idle connections: of 2 at most). In each round every server was under load for ${seconds} s after a short warm-up, in turn, while the others were idle; twice as long at a fixed rate, and for 2 s where all of a large region was asked for.
- Ratios are ${baseline} over the other server of the same round: median, and in brackets the smallest and the largest. Above 1, ${baseline} has more of it: good for requests/s, bad for CPU and latency. "About as many" means that rounds lie on both sides of 1.
- CPU is what the server's process used, with its threads and workers (the scheduler's count), the kernel's work for its packets included; GB is 10^9 bytes.
- Kept-alive connections over loopback, unless said otherwise, and one request outstanding on each. Ranges at random pages of one ${writeSize(regionBytes)} file of random bytes on tmpfs; larger ones of a file of ${writeSize(wholeBytes)}, which is asked for whole by a GET without Range.
- The client throws bodies away in the kernel (MSG_TRUNC), so that its copy hides no cost of the server's. It checks each response's status, length and Content-Range, and that nothing but the next response follows; before the first round of each server and size, bodies are compared with the file, byte for byte. One wrong answer ends the run, without a report.
- Where the server is not busy all the time, something else limits the rate: the client, or what else the machine does. CPU figures suffer less from that.
- Latency in a closed loop, which all tables but that at a fixed rate have, counts from sending a request to the last byte of its answer: it follows from the rate.`;
}

function renderConditions({ machine, congestionControl, pins, peers, missing }: Report): string {
  const pinning = pins
    ? `server on processor ${pins.server.join(',')}, client on ${pins.client.join(',')}`
    : 'none: figures disturb each other';
  const lines = [
    `- ${machine.date} UTC, ${machine.processor}, ${machine.processors} processors, ${writeNumber(machine.memoryBytes / 2 ** 30)} GiB of memory`,
    `- ${machine.kernel}, Node ${machine.node}, pagerelay ${machine.pagerelay}`,
    `- Congestion control of TCP: ${congestionControl}, unless a server asks for another (pagerelay does on loopback in place of bbr: docs/performance.md)`,
    `- Pinning: ${pinning}. Load average before the run: ${writeNumber(machine.loadBefore)}`,
    ...peers.map(({ name, about }) => `- ${name}: ${about}`),
    ...missing.map(({ name, why }) => `- ${name}: not measured, ${why}`),
  ];
  return `## Conditions\n\n${lines.join('\n')}`;
}
