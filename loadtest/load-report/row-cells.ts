/** Figures of a row as text, for every kind of report. @module */
import { writeSpread } from '../report/table.ts';
import { writeNumber } from '../report/units.ts';
import { percent } from '../report/verdict.ts';
import type { Results } from './results.ts';
import type { Row } from './rows.ts';

/** Rows that are read together: of a scenario that several servers ran, or all that one ran alone. */
export type RowGroup = {
  readonly title: string;
  readonly about: string;
  /** Of the first column. */
  readonly by: 'server' | 'scenario' | 'writer';
  readonly rows: readonly Row[];
};

/** The groups of a report, in the order of its scenarios. */
export function groupsOf({ scenarios, rows }: Pick<Results, 'scenarios' | 'rows'>): RowGroup[] {
  const groups = scenarios.map(({ name, about }): RowGroup => {
    return { title: name, about, by: 'server', rows: rows.filter(({ scenario }) => scenario === name) };
  });
  const compared = groups.filter((group) => group.rows.length > 1);
  const alone = groups.flatMap((group) => (group.rows.length === 1 ? group.rows : []));
  const written = rows.filter(({ writes }) => writes !== null);
  const about = 'what only the service under test ran';
  const last: RowGroup[] = [
    { title: 'other patterns', about, by: 'scenario', rows: alone },
    { title: 'writers', about: 'overwrites beside these loads, from when they were due', by: 'writer', rows: written },
  ];
  return [...compared, ...last.filter((group) => group.rows.length > 0)];
}

/** The head over `cellsOf`. */
export function headOf(by: RowGroup['by']): string[] {
  if (by === 'writer') return ['scenario', 'written/s', 'busy (409)', 'missed', 'write p99 ms'];
  const ratios = by === 'server' ? ['requests/s: ratio', 'CPU: ratio'] : [];
  return [
    ...[by, 'client', 'requests/s', 'MB/s', 'CPU s/GB', 'busy: server, client', 'limited by'],
    ...['p50 ms', 'p99 ms', 'p99.9 ms', 'RSS MiB', 'switches/request', 'loop delay ms'],
    ...ratios,
  ];
}

/** One line of a table. Latencies of slow and broken-off readings are their own doing: they are left in. */
export function cellsOf(row: Row, by: RowGroup['by']): string[] {
  if (by === 'writer') return writerCells(row);
  const { requestsPerSecond, megabytesPerSecond, cpuSecondsPerGigabyte, serverBusy, clientBusy, latency, ratios } = row;
  const milliseconds = (microseconds: number) => writeNumber(microseconds / 1000);
  return [
    by === 'server' ? row.peer : row.scenario,
    row.client,
    writeNumber(requestsPerSecond.median),
    writeNumber(megabytesPerSecond.median),
    orNothing(cpuSecondsPerGigabyte?.median),
    `${serverBusy === null ? '–' : percent(serverBusy)}, ${percent(clientBusy)}`,
    limitInWords(row),
    milliseconds(latency.p50),
    milliseconds(latency.p99),
    milliseconds(latency.p999),
    row.residentBytes === null ? '–' : writeNumber(row.residentBytes / 2 ** 20),
    orNothing(row.switchesPerRequest ?? undefined),
    orNothing(row.eventLoopDelayP99Milliseconds ?? undefined),
    ...(by === 'server' ? [writeSpread(ratios?.requests ?? undefined), writeSpread(ratios?.cpu ?? undefined)] : []),
  ];
}

function writerCells({ scenario, writes }: Row): string[] {
  if (!writes) return [scenario, '–', '–', '–', '–'];
  const { writtenPerSecond, busy, missed, p99Microseconds } = writes;
  const p99 = p99Microseconds === null ? undefined : p99Microseconds / 1000;
  return [scenario, writeNumber(writtenPerSecond), writeNumber(busy), writeNumber(missed), orNothing(p99)];
}

/** With a mark where a figure says more about the client than about the server. */
export function limitInWords({ limit }: Row): string {
  if (limit === null) return '–';
  return limit === 'client' ? 'CLIENT' : limit;
}

function orNothing(value: number | undefined): string {
  return value === undefined ? '–' : writeNumber(value);
}
