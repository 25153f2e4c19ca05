/** The part of the report that tells what a writer costs readers. @module */
import { cellsOf, renderRows, writeSpread } from './table.ts';
import { writeNumber, writeSize } from './units.ts';
import { percent } from './verdict.ts';
import { type WritingTable, writeChange } from './writing.ts';

/** Readers beside a writer of `size` bytes, `rate` times a second. */
export type WritingReport = {
  readonly rate: number;
  readonly size: number;
  readonly waitSeconds: number;
  readonly tables: readonly WritingTable[];
};

/** The section on readers beside a writer. */
export function renderWriting({ rate, size, waitSeconds, tables }: WritingReport): string {
  const head = [
    'region on',
    'ranges',
    'writer',
    'requests/s',
    'MB/s',
    'CPU µs/request',
    'CPU s/GB',
    'busy: server, client',
    'p50 µs',
    'p99 µs',
    'requests/s: change',
    'CPU: change',
  ];
  const writesHead = [
    'region on',
    'ranges',
    'writes/s',
    'p50 ms',
    'p99 ms',
    'longest ms',
    '409',
    'missed',
    'busy: writer',
    'server CPU ms/write',
  ];
  return `## While it is written to

One service, \`--writable\`, with two equal regions: one that is never written to (writer: none), and one where ${writeSize(size)} at a random page are overwritten ${rate} times a second, evenly spaced (steady); and that same one, left alone again (none any more). Before the first round that region is written to at a higher rate for some seconds, so that code and pages are as minutes of writing leave them. Changes are against none in the same round: median, and in brackets the smallest and the largest. CPU is all that the server used over the readers' requests, so the writer's requests are in it.

${renderRows(head, tables.flatMap(readersOf), 3)}

What the writer got: answers of 204 a second, and their times from when a write was due, of all rounds together. It waits ${waitSeconds} s for its pages (\`Prefer: wait\`), then it is told 409; missed are those that were due while too many were unanswered. It runs on the client's processor. CPU per write is what the server used beyond what as many reads cost without a writer.

${renderRows(writesHead, tables.map(writesOf), 2)}`;
}

function readersOf({ fileSystem, size, rows }: WritingTable): string[][] {
  return rows.map((row) => [
    fileSystem,
    writeSize(size),
    row.peer,
    ...cellsOf(row).slice(1),
    row.change ? writeChange(row.change.requests) : '',
    row.change ? writeChange(row.change.cpu) : '',
  ]);
}

function writesOf({ fileSystem, size, writes }: WritingTable): string[] {
  const { perSecond, p50, p99, longest, busy, missed, writerBusy, serverCpu } = writes;
  const numbers = [perSecond, p50, p99, longest, busy, missed].map(writeNumber);
  return [fileSystem, writeSize(size), ...numbers, percent(writerBusy), writeSpread(serverCpu)];
}
