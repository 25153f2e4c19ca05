/** The parts of the report where the baseline and its rival meet under other conditions. @module */
import type { Sample } from '../run/rounds.ts';
import { compare, type Ratios, type Row, type SizeTable } from './comparison.ts';
import { duelRatios } from './goals.ts';
import type { Cast, Results } from './results.ts';
import { ratios, spreadOf } from './statistics.ts';
import { cellsOf, headOf, renderRows, writeSpread } from './table.ts';
import { writeList, writeNumber, writeSize } from './units.ts';

/** Few and many connections. */
export function renderConnections(samples: readonly Sample[], { baseline }: Cast): string {
  return `## Few and many connections

${renderCases(compare(samples, baseline), baseline)}`;
}

/** A new connection for each request. */
export function renderFresh(samples: readonly Sample[], { baseline }: Cast): string {
  return `## A new connection for each request

The client connects, asks once, reads the whole answer and closes in the ordinary way (FIN), without having announced it (\`Connection: close\`); so it is the client that keeps the port for a minute (TIME-WAIT). It comes from 64 addresses of 127.0.0.0/26 in turn, which have enough ports for that. Latency counts from before connecting.

${renderCases(compare(samples, baseline), baseline)}`;
}

/** Latency at a fixed rate. */
export function renderRate(samples: readonly Sample[], { baseline, rival }: Cast): string {
  const rows = compare(samples, baseline).flatMap(({ size, rows }) =>
    rows.map((row) => [
      writeSize(size),
      row.peer,
      ...[row.requestsPerSecond, row.p50, row.p99, row.cpuMicrosecondsPerRequest].map(writeNumber),
      writeSpread(row.ratios?.p50),
      writeSpread(row.ratios?.p99),
    ]),
  );
  const beside = (what: string) => `${what}: ${baseline} / it`;
  const head = ['ranges', 'server', 'requests/s', 'p50 µs', 'p99 µs', 'CPU µs/request', beside('p50'), beside('p99')];
  return `## Latency at half of ${rival}'s peak

In each round ${rival} first shows how many requests a second it can answer at most; then both are asked half of that, evenly spaced. Latency counts from when a request was due, so one that could not be sent in time is late (no coordinated omission). Ratios below 1 are good for ${baseline}.

${renderRows(head, rows, 2)}`;
}

/** One processor and two. */
export function renderCores({ one, two, shared }: NonNullable<Results['cores']>, { baseline }: Cast): string {
  const tables = [one, two].map((samples, at) => ({ processors: at + 1, samples, ours: samples[0]?.peer ?? '' }));
  const rows = tables.flatMap(({ processors, samples, ours }) =>
    compare(samples, ours).flatMap(({ size, rows }) =>
      rows.map((row) => [String(processors), writeSize(size), ...lineOf(row)]),
    ),
  );
  const sharing = shared
    ? ' **This machine has no third processor: with two for the server, the client takes its time from them as well**, so neither can show twice the rate.'
    : '';
  return `## Two processors

With two, pagerelay has two lanes beside its main thread, and nginx two workers.${sharing} One and two take turns in the same rounds.

${renderRows(['processors', 'ranges', ...headOf(baseline)], rows, 3)}`;
}

function renderCases(tables: readonly SizeTable[], baseline: string): string {
  const rows = tables.flatMap(({ size, connections, rows }) =>
    rows.map((row) => [writeSize(size), String(connections), ...lineOf(row)]),
  );
  return renderRows(['ranges', 'connections', ...headOf(baseline)], rows, 3);
}

/** A row of a table with the head of `headOf`. */
export function lineOf(row: Row): string[] {
  return [...cellsOf(row), writeSpread(row.ratios?.requests), writeSpread(row.ratios?.cpu)];
}

/** What all of them say, in words. */
export function sentencesOnDuels({ connections, rate, fresh, cores }: Results, cast: Cast): string[] {
  const { rival, baseline } = cast;
  return [
    ...byConnections(connections ?? [], cast),
    ...say(rate, cast, 'p99', (words) => `At **half of ${rival}'s peak**, ${baseline}'s p99 is ${words} ${rival}'s.`),
    ...say(
      fresh,
      cast,
      'requests',
      (words) => `With **a new connection for each request**, ${baseline} answers ${words} what ${rival} does.`,
    ),
    ...(cores ? [sentenceOnCores(cores, rival)] : []),
  ];
}

function byConnections(samples: readonly Sample[], { baseline, rival }: Cast): string[] {
  const sizes = [...new Set(samples.map(({ size }) => size))];
  return sizes.map((size) => {
    const tables = compare(
      samples.filter((sample) => sample.size === size),
      baseline,
    );
    const parts = tables.flatMap(({ connections, rows }) => {
      const ratios = ratiosTo(rows, rival);
      return ratios ? [`${writeNumber(ratios.requests.median)} times with ${connections}`] : [];
    });
    return `By **connections**, at ${writeSize(size)} ${baseline} answers what ${rival} does ${writeList(parts)}.`;
  });
}

function say(
  samples: readonly Sample[] | undefined,
  { baseline, rival }: Cast,
  figure: keyof Ratios,
  sentence: (words: string) => string,
): string[] {
  const parts = compare(samples ?? [], baseline).flatMap(({ size, rows }) => {
    const ratios = ratiosTo(rows, rival);
    return ratios ? [`${writeNumber(ratios[figure].median)} times (at ${writeSize(size)})`] : [];
  });
  return parts.length > 0 ? [sentence(writeList(parts))] : [];
}

function ratiosTo(rows: readonly Row[], peer: string): Ratios | undefined {
  return rows.find((row) => row.peer === peer)?.ratios;
}

function sentenceOnCores({ one, two, shared }: NonNullable<Results['cores']>, rival: string): string {
  const [alone, both] = [one, two].map((samples) => writeSpread(spreadOf(duelRatios(samples))));
  const change = writeSpread(spreadOf(ratios(duelRatios(two), duelRatios(one))));
  const sharing = shared ? ', where the client shares them' : '';
  return `With **two processors**${sharing}, the ratio of requests/s to ${rival} is ${both}; with one, ${alone}: ${change} times that.`;
}
