/** Figures of a row as text, for every kind of report. @module */
import { conditionsInWords } from '../model/scenario.ts';
import type { Results } from './results.ts';
import type { Row } from './rows.ts';
import { writeSpread } from './table.ts';
import { percent, writeNumber } from './units.ts';

/** Rows that are read together: of a scenario that several servers ran, or all that one ran alone. */
export type Table = {
  readonly title: string;
  readonly about: string;
  readonly head: readonly string[];
  readonly lines: readonly (readonly string[])[];
};

type Column = readonly [head: string, cell: (row: Row) => string];

const none = '–';

const columns: readonly Column[] = [
  ['client', ({ client }) => client],
  ['requests/s', ({ requestsPerSecond }) => writeNumber(requestsPerSecond.median)],
  ['MB/s', ({ megabytesPerSecond: { median } }) => (median === 0 ? none : writeNumber(median))],
  ['CPU µs/request', (row) => orNone(row.cpuMicrosecondsPerRequest?.median)],
  ['CPU s/GB', (row) => orNone(row.cpuSecondsPerGigabyte?.median)],
  ['busy: server, client', busyInWords],
  ['limited by', limitInWords],
  // Latencies of slow and broken-off readings are their own doing: they are left in.
  ['p50 ms', ({ latency }) => milliseconds(latency.p50)],
  ['p99 ms', ({ latency }) => milliseconds(latency.p99)],
  ['p99.9 ms', ({ latency }) => milliseconds(latency.p999)],
  ['RSS MiB', ({ residentBytes }) => orNone(residentBytes === null ? null : residentBytes / 2 ** 20)],
  ['switches/request', ({ switchesPerRequest }) => orNone(switchesPerRequest)],
  ['loop delay ms', (row) => orNone(row.eventLoopDelayP99Milliseconds)],
  ['requests/s: ratio', ({ ratios }) => writeSpread(ratios?.requests) || none],
  ['CPU: ratio', ({ ratios }) => writeSpread(ratios?.cpu) || none],
  ['p99: ratio', ({ ratios }) => writeSpread(ratios?.p99) || none],
];

const writerColumns: readonly Column[] = [
  ['written/s', ({ writes }) => orNone(writes?.writtenPerSecond)],
  ['busy (409)', ({ writes }) => orNone(writes?.busy)],
  ['missed', ({ writes }) => orNone(writes?.missed)],
  ['write p50 ms', ({ writes }) => milliseconds(writes?.p50Microseconds)],
  ['write p99 ms', ({ writes }) => milliseconds(writes?.p99Microseconds)],
  ['server CPU ms/write', ({ writes }) => writeSpread(writes?.cpuMillisecondsPerWrite) || none],
];

const idleColumns: readonly Column[] = [
  ['connections', ({ requests, rounds }) => writeNumber(requests / rounds)],
  ['KiB a connection', ({ idle }) => inKibibytes(idle?.residentBytes)],
  ['of that native, bytes', ({ idle }) => writeSpread(idle?.nativeBytes) || none],
];

/** The tables of a report, in the order of its scenarios. */
export function tablesOf({ scenarios, rows, baseline, missing }: Results): Table[] {
  const of = (name: string) => rows.filter(({ scenario }) => scenario === name);
  const byServer: Column = ['server', ({ server }) => server];
  const byScenario: Column = ['scenario', ({ scenario }) => scenario];
  const loads = scenarios.filter(({ idle }) => idle === undefined);
  const compared = loads.filter(({ name }) => isCompared(of(name), baseline));
  const alone = loads.flatMap(({ name }) => (isCompared(of(name), baseline) ? [] : of(name)));
  const lacks = (name: string) => unsupported(missing, name);
  const written = rows.filter(({ writes }) => writes !== null);
  const idle = scenarios.filter((scenario) => scenario.idle !== undefined && of(scenario.name).length > 0);
  return [
    ...compared.map((scenario) =>
      table(scenario.name, aboutOf(scenario), [byServer, ...columns], of(scenario.name), lacks(scenario.name)),
    ),
    table('other patterns', 'what only the service under test ran', [byScenario, ...columns.slice(0, -3)], alone),
    table('writers', 'overwrites beside these loads, from when they were due', [byScenario, ...writerColumns], written),
    ...idle.map((scenario) => table(scenario.name, aboutOf(scenario), [byServer, ...idleColumns], of(scenario.name))),
  ].filter(({ lines }) => lines.length > 0);
}

function aboutOf(scenario: Results['scenarios'][number]): string {
  return `${scenario.about}. ${conditionsInWords(scenario)}.`;
}

/** Whether rows of one scenario are a comparison, or what another server did alone, for the service can't. */
export function isCompared(rows: readonly Row[], baseline: string): boolean {
  return rows.length > 1 || rows.some(({ server }) => server !== baseline);
}

// Who can't run a scenario has a line that says so.
function unsupported(missing: Results['missing'], scenario: string): string[][] {
  const own = missing.filter(({ name, why }) => why.startsWith('not supported') && isIn(name, scenario));
  return own.flatMap(({ name, why }) => (name.split(' in ')[0] ?? '').split(', ').map((server) => [server, why]));
}

function isIn(name: string, scenario: string): boolean {
  return name.split(' in ')[1]?.split(', ').includes(scenario) ?? false;
}

// Without columns in which nobody has a figure.
function table(
  title: string,
  about: string,
  all: readonly Column[],
  rows: readonly Row[],
  lacking: readonly (readonly string[])[] = [],
): Table {
  const shown = all.filter(([, cell]) => rows.some((row) => cell(row) !== none));
  const filled = lacking.map((cells) => shown.map((_, at) => cells[at] ?? none));
  return {
    title,
    about,
    head: shown.map(([head]) => head),
    lines: [...rows.map((row) => shown.map(([, cell]) => cell(row))), ...filled],
  };
}

/** With a mark where a figure says more about the client than about the server. */
export function limitInWords({ limit }: Row): string {
  if (limit === null) return none;
  return limit === 'client' ? 'CLIENT' : limit;
}

function busyInWords({ serverBusy, clientBusy }: Row): string {
  return `${serverBusy === null ? none : percent(serverBusy)}, ${percent(clientBusy)}`;
}

function milliseconds(microseconds: number | null | undefined): string {
  return orNone(microseconds === null || microseconds === undefined ? null : microseconds / 1000);
}

function inKibibytes(bytes: { median: number; min: number; max: number } | undefined): string {
  if (!bytes) return none;
  return writeSpread({ median: bytes.median / 1024, min: bytes.min / 1024, max: bytes.max / 1024 });
}

function orNone(value: number | null | undefined): string {
  return value === null || value === undefined ? none : writeNumber(value);
}
