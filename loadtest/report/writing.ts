/** What a writer costs readers. @module */
import type { Sample } from '../run/rounds.ts';
import { compare, cpuMicrosecondsPerRequest, type Row, requestsPerSecond } from './comparison.ts';
import { quantile, ratios, type Spread, spreadOf } from './statistics.ts';
import { writeList, writeNumber, writeSize } from './units.ts';
import { percent } from './verdict.ts';

/** Readers of one size on one file system: first without a writer, then as `Row.peer` says. */
export type WritingTable = {
  readonly fileSystem: string;
  readonly size: number;
  readonly rows: readonly (Row & { readonly change: Change | undefined })[];
  /** Of all rounds together. */
  readonly writes: WritesRow;
};

/** Beside the readers without a writer, round by round: -0.05 is 5 % less; undefined for these themselves. */
export type Change = { readonly requests: Spread; readonly cpu: Spread };

/** What a writer got done. Milliseconds. */
export type WritesRow = {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
  readonly busy: number;
  readonly missed: number;
  /** Of one processor. */
  readonly writerBusy: number;
  /** Milliseconds of the server's CPU for each write: what it used beyond what the same reads cost without. */
  readonly serverCpu: Spread;
};

/** What readers may lose. */
const aim = 0.05;

/** Summarizes what was measured on one file system. The first sample is one without a writer. */
export function summarizeWriting(fileSystem: string, samples: readonly Sample[]): WritingTable[] {
  const none = samples[0]?.peer ?? '';
  return compare(samples, none).map(({ size, rows }) => {
    const ofSize = samples.filter((sample) => sample.size === size);
    const changed = rows.map((row) => ({
      ...row,
      change: row.peer === none ? undefined : changeOf(ofSize, none, row),
    }));
    return { fileSystem, size, rows: changed, writes: writesOf(ofSize, none) };
  });
}

function changeOf(samples: readonly Sample[], none: string, { peer }: Row): Change {
  const change = (value: (sample: Sample) => number) =>
    spreadOf(ratios(roundsOf(samples, peer).map(value), roundsOf(samples, none).map(value)).map((ratio) => ratio - 1));
  return { requests: change(requestsPerSecond), cpu: change(cpuMicrosecondsPerRequest) };
}

function roundsOf(samples: readonly Sample[], name: string): Sample[] {
  return samples.filter(({ peer }) => peer === name).sort((a, b) => a.round - b.round);
}

function writesOf(samples: readonly Sample[], none: string): WritesRow {
  const results = samples.flatMap(({ writes }) => writes ?? []);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const seconds = sum(results.map((result) => result.seconds));
  const milliseconds = results.flatMap((result) => result.milliseconds);
  return {
    perSecond: milliseconds.length / seconds,
    p50: quantile(milliseconds, 0.5),
    p99: quantile(milliseconds, 0.99),
    longest: quantile(milliseconds, 1),
    busy: sum(results.map(({ busy }) => busy)),
    missed: sum(results.map(({ missed }) => missed)),
    writerBusy: sum(results.map(({ cpuSeconds }) => cpuSeconds)) / seconds,
    serverCpu: serverCpuOf(samples, none),
  };
}

// Where something else takes the server's processor, rates say little and this still something: CPU time is its own.
function serverCpuOf(samples: readonly Sample[], none: string): Spread {
  const alone = roundsOf(samples, none);
  const beside = samples.filter(({ writes }) => writes).sort((a, b) => a.round - b.round);
  const each = beside.flatMap((sample, at) => {
    const { writes } = sample;
    const before = alone[at];
    if (!writes || !before) return [];
    const extra = cpuMicrosecondsPerRequest(sample) - cpuMicrosecondsPerRequest(before);
    return [(extra * requestsPerSecond(sample)) / (writes.written / writes.seconds) / 1000];
  });
  return spreadOf(each);
}

/** What readers lose beside the writer, in words. */
export function sentenceOnWriting(tables: readonly WritingTable[], rate: number, size: number): string | undefined {
  const losses = tables.flatMap((table) => lossOf(table));
  if (losses.length === 0) return undefined;
  const within = losses.every(({ loss }) => loss < aim);
  const verdict = within ? `all under the ${percent(aim)} aimed for` : `${percent(aim)} was aimed for`;
  const what = writeList(losses.map(({ words }) => words));
  return `Beside **a writer** that overwrites ${writeSize(size)} in place ${rate} times a second, readers get ${what}: ${verdict}.`;
}

function lossOf({ fileSystem, size, rows }: WritingTable) {
  const change = rows[1]?.change?.requests;
  if (!change) return [];
  return [
    { loss: -change.median, words: `${writeChange(change)} requests a second at ${writeSize(size)} on ${fileSystem}` },
  ];
}

/** `-3.2 % (-5..-1.1)`, with a sign that can't be overlooked. */
export function writeChange({ median, min, max }: Spread): string {
  return `${signed(median)} % (${signed(min)}..${signed(max)})`;
}

function signed(share: number): string {
  const text = writeNumber(Math.round(share * 1000) / 10);
  return share > 0 && text !== '0' ? `+${text}` : text.replace('-', '−');
}
