/** Figures of a row as text, for every kind of report. @module */
import { conditionsInWords, type Scenario } from '../model/scenario.ts';
import type { Results } from './results.ts';
import type { Row } from './rows.ts';
import { percent, writeNumber, writeSpread } from './text.ts';

/** A group of rows in cells. */
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
  ['RSS MiB', ({ residentBytes }) => orNone(residentBytes, 2 ** 20)],
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
  ['KiB a connection', ({ idle }) => writeSpread(idle?.residentBytes, 1024) || none],
  ['of that native, bytes', ({ idle }) => writeSpread(idle?.nativeBytes) || none],
];

/** Rows that are read together: of a scenario that several servers ran, or all that the service ran alone. */
export type Group = { readonly scenario: Scenario | undefined; readonly rows: readonly Row[] };

/** Of loads, in the order of the scenarios; what ran alone is the last. */
export function groupsOf({ scenarios, rows, baseline }: Results): Group[] {
  const all = scenarios.map((scenario) => ({
    scenario,
    rows: rows.filter((row) => row.scenario === scenario.name && !row.idle),
  }));
  // What another server ran alone, for the service can't, is a comparison.
  const isCompared = ({ rows }: Group) => rows.length > 1 || rows.some(({ server }) => server !== baseline);
  const alone = all.flatMap((group) => (isCompared(group) ? [] : group.rows));
  return [...all.filter(isCompared), ...(alone.length > 0 ? [{ scenario: undefined, rows: alone }] : [])];
}

/** The tables of a report. */
export function tablesOf(results: Results): Table[] {
  const { scenarios, rows, missing } = results;
  const byServer: Column = ['server', ({ server }) => server];
  const byScenario: Column = ['scenario', ({ scenario }) => scenario];
  const loads = groupsOf(results).map(({ scenario, rows }) =>
    scenario
      ? table(scenario.name, aboutOf(scenario), [byServer, ...columns], rows, unsupported(missing, scenario.name))
      : table('other patterns', 'what only the service under test ran', [byScenario, ...columns.slice(0, -3)], rows),
  );
  const written = rows.filter(({ writes }) => writes !== null);
  const idle = scenarios.map((scenario) => {
    const own = rows.filter((row) => row.idle && row.scenario === scenario.name);
    return table(scenario.name, aboutOf(scenario), [byServer, ...idleColumns], own);
  });
  const writers = 'overwrites beside these loads, from when they were due';
  const all = [...loads, table('writers', writers, [byScenario, ...writerColumns], written), ...idle];
  return all.filter(({ lines }) => lines.length > 0);
}

function aboutOf(scenario: Scenario): string {
  return `${scenario.about}. ${conditionsInWords(scenario)}.`;
}

// Who can't run a scenario has a line that says so.
function unsupported(missing: Results['missing'], scenario: string): string[][] {
  return missing.flatMap(({ name, why }) => {
    const [servers = '', where = ''] = name.split(' in ');
    const isMeant = why.startsWith('not supported') && where.split(', ').includes(scenario);
    return isMeant ? servers.split(', ').map((server) => [server, why]) : [];
  });
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
  const lines = [...rows.map((row) => shown.map(([, cell]) => cell(row))), ...filled];
  return { title, about, head: shown.map(([head]) => head), lines: rows.length > 0 ? lines : [] };
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
  return orNone(microseconds, 1000);
}

function orNone(value: number | null | undefined, unit = 1): string {
  return value === null || value === undefined ? none : writeNumber(value / unit);
}
