/** The report. Everything in it comes from the run. @module */
import type { Machine } from '../measure/machine.ts';
import type { Pins } from '../measure/pin.ts';
import type { Row, SizeTable } from './comparison.ts';
import { cellsOf, renderRows, writeSpread } from './table.ts';
import { writeNumber, writeSize } from './units.ts';
import { sentenceOf } from './verdict.ts';
import { sentenceOnWriting } from './writing.ts';
import { renderWriting, type WritingReport } from './writing-section.ts';

/** What a report tells of. */
export type Report = {
  readonly machine: Machine;
  readonly pins: Pins | undefined;
  readonly command: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly regionBytes: number;
  readonly baseline: string;
  readonly peers: readonly { readonly name: string; readonly about: string }[];
  /** Peers that could not run, and why. */
  readonly missing: readonly { readonly name: string; readonly why: string }[];
  readonly tables: readonly SizeTable[];
  readonly writing: WritingReport | undefined;
};

/** Below this many rounds the spread says nothing. */
const fewRounds = 3;

/** The report as Markdown. */
export function renderReport(report: Report): string {
  const sections = [
    `# Benchmarks\n\nWritten by \`${report.command}\`; not edited.`,
    renderVerdicts(report),
    ...report.tables.map((table) => renderTable(table, report.baseline)),
    ...(report.writing ? [renderWriting(report.writing)] : []),
    renderReading(report),
    renderConditions(report),
  ];
  return `${sections.join('\n\n')}\n`;
}

function renderVerdicts({ tables, baseline, peers, rounds, writing }: Report): string {
  const beside = peers.map(({ name }) => sentenceOf(tables, baseline, name));
  const besideWriter = writing && sentenceOnWriting(writing.tables, writing.rate, writing.size);
  const sentences = [...beside, besideWriter].filter((sentence) => sentence !== undefined);
  const warning = rounds < fewRounds ? [`*Of ${roundsOf(rounds)} only: a try, no result.*`] : [];
  return ['## In words', ...warning, sentences.map((sentence) => `- ${sentence}`).join('\n')].join('\n\n');
}

function renderTable({ size, rows }: SizeTable, baseline: string): string {
  const head = [
    'server',
    'requests/s',
    'MB/s',
    'CPU µs/request',
    'CPU s/GB',
    'busy: server, client',
    'p50 µs',
    'p99 µs',
    `requests/s: ${baseline} / it`,
    `CPU: ${baseline} / it`,
  ];
  return `## Ranges of ${writeSize(size)}\n\n${renderRows(head, rows.map(lineOf), 1)}`;
}

function lineOf(row: Row): string[] {
  return [...cellsOf(row), writeSpread(row.ratios?.requests), writeSpread(row.ratios?.cpu)];
}

function roundsOf(count: number): string {
  return count === 1 ? '1 round' : `${count} rounds`;
}

function renderReading({ baseline, rounds, seconds, connections, regionBytes }: Report): string {
  return `## How to read it

- Figures are medians of ${roundsOf(rounds)}. In each round every server was under load for ${seconds} s after a short warm-up, in turn, while the others were idle.
- Ratios are ${baseline} over the other server of the same round: median, and in brackets the smallest and the largest. Above 1, ${baseline} has more of it: good for requests/s, bad for CPU. "About as many" means that rounds lie on both sides of 1.
- CPU is what the server's process used, with its threads and workers (\`/proc/PID/stat\`), the kernel's work for its packets included; GB is 10^9 bytes.
- ${connections} kept-alive connections over loopback, one request outstanding on each, ranges at random pages of one ${writeSize(regionBytes)} file of random bytes on tmpfs. The client throws bodies away in the kernel, and checks each response's status and length. Where the server is not busy all the time, something else limits the rate: the client, or what else the machine does. CPU figures suffer less from that.
- Latency counts from sending a request to the last byte of its answer, in a closed loop: with ${connections} requests outstanding, it follows from the rate.`;
}

function renderConditions({ machine, pins, peers, missing }: Report): string {
  const pinning = pins
    ? `server on processor ${pins.server}, client on ${pins.client}`
    : 'none: figures disturb each other';
  const lines = [
    `- ${machine.date} UTC, ${machine.processor}, ${machine.processors} processors, ${writeNumber(machine.memoryBytes / 2 ** 30)} GiB of memory`,
    `- ${machine.kernel}, Node ${machine.node}, pagerelay ${machine.pagerelay}`,
    `- Pinning: ${pinning}. Load average before the run: ${writeNumber(machine.loadBefore)}`,
    ...peers.map(({ name, about }) => `- ${name}: ${about}`),
    ...missing.map(({ name, why }) => `- ${name}: not measured, ${why}`),
  ];
  return `## Conditions\n\n${lines.join('\n')}`;
}
