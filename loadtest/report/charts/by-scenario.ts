/** Throughput and what it costs, as bars from zero with the smallest and the largest round; and latency percentiles. @module */
import type { Results } from '../results.ts';
import { groupsOf, limitInWords } from '../row-cells.ts';
import type { Row } from '../rows.ts';
import type { Spread } from '../statistics.ts';
import { writeNumber, writeSpread } from '../text.ts';
import { type Chart, chartWidth, colourOf, draw, legend, Plot } from './drawing.ts';

type Bar = { readonly name: string; readonly value: Spread; readonly colour: string; readonly mark: string };

type Figure = { readonly id: string; readonly label: string; readonly of: (row: Row) => Spread | null };

/** What is drawn as bars. */
export const throughput: Figure = { id: 'throughput', label: 'MB/s', of: (row) => row.megabytesPerSecond };
export const cpu: Figure = { id: 'cpu', label: 'CPU s/GB', of: (row) => row.cpuSecondsPerGigabyte };

/** A chart for each group of rows. */
export function barCharts(results: Results, { id, label, of }: Figure): Chart[] {
  const charts = groupsOf(results).map(({ scenario, rows }) => {
    const bars = rows.flatMap((row): Bar[] => {
      const value = of(row);
      const name = scenario ? row.server : row.scenario;
      const mark = limitInWords(row) === 'CLIENT' ? ' (client)' : '';
      return value && value.median !== 0 ? [{ name, value, colour: colourOfServer(results, row), mark }] : [];
    });
    const { name: title = 'other patterns', about: note = 'Patterns that only the service under test ran.' } =
      scenario ?? {};
    return { id: `${id}-${scenario?.name ?? 'alone'}`, title, note, svg: drawBars(bars, label) };
  });
  return charts.filter(({ svg }) => svg !== '');
}

function colourOfServer({ servers }: Results, { server }: Row): string {
  return colourOf(servers.findIndex(({ name }) => name === server));
}

const barHeight = 26;
/** About, of the labels. */
const letterWidth = 6.6;

function drawBars(bars: readonly Bar[], label: string): string {
  if (bars.length === 0) return '';
  const most = Math.max(...bars.map(({ value }) => value.max));
  // Behind the longest bar, for what is written there.
  const room = bars.some(({ mark }) => mark !== '') ? 1.8 : 1.35;
  const ends = { x1: (bar: Bar) => bar.value.min, x2: (bar: Bar) => bar.value.max, y: 'name', strokeWidth: 1.5 };
  const text = (bar: Bar) => writeNumber(bar.value.median) + bar.mark;
  const title = ({ name, value }: Bar) => `${name}: ${writeSpread(value)}`;
  return draw({
    height: bars.length * barHeight + 50,
    ...{ marginLeft: Math.max(...bars.map(({ name }) => name.length)) * letterWidth + 14, marginRight: 12 },
    ...{ marginTop: 6, marginBottom: 38, color: { type: 'identity' } },
    x: { label: `${label} →`, domain: [0, most * room], grid: true, ticks: 4 },
    y: { label: null, domain: bars.map(({ name }) => name), padding: 0.25 },
    marks: [
      Plot.barX(bars, { x: (bar: Bar) => bar.value.median, y: 'name', fill: 'colour', title }),
      Plot.ruleY(bars, ends),
      Plot.text(bars, { x: ends.x2, y: 'name', text, textAnchor: 'start', dx: 5, fill: 'currentColor' }),
      Plot.ruleX([0]),
    ],
  });
}

const percentiles = { p50: 'p50', p75: 'p75', p90: 'p90', p99: 'p99', p999: 'p99.9', max: 'max' } as const;

type Point = {
  readonly percentile: string;
  readonly milliseconds: number;
  readonly line: string;
  readonly colour: string;
};

/** A chart for each group of rows, on a logarithmic scale. */
export function latencyCharts(results: Results): Chart[] {
  return groupsOf(results).map(({ scenario, rows }) => {
    if (scenario) {
      const points = rows.flatMap((row) => pointsOf(row, row.server, colourOfServer(results, row)));
      const how = scenario.rate === undefined ? 'closed loop' : 'at a fixed rate, corrected for coordinated omission';
      const { name, about } = scenario;
      return { id: `latency-${name}`, title: name, note: `${about}; ${how}`, svg: drawLines(points) };
    }
    const points = rows.flatMap((row, at) => pointsOf(row, row.scenario, colourOf(at)));
    const names = legend(rows.map((row) => row.scenario));
    const note = 'Patterns that only the service under test ran. Slow readers take as long as they want to.';
    return { id: 'latency-alone', title: 'other patterns', note, svg: names + drawLines(points) };
  });
}

function pointsOf({ latency }: Row, line: string, colour: string): Point[] {
  return Object.entries(percentiles).flatMap(([key, percentile]) => {
    const milliseconds = latency[key as keyof typeof percentiles] / 1000;
    return milliseconds > 0 ? [{ percentile, milliseconds, line, colour }] : [];
  });
}

function drawLines(points: readonly Point[]): string {
  const place = { x: 'percentile', y: 'milliseconds' };
  const title = ({ line, percentile, milliseconds }: Point) =>
    `${line}, ${percentile}: ${writeNumber(milliseconds)} ms`;
  return draw({
    height: Math.round(chartWidth * 0.6),
    ...{ marginLeft: 55, marginRight: 15, marginTop: 28, marginBottom: 28, color: { type: 'identity' } },
    x: { type: 'point', domain: Object.values(percentiles), label: null, grid: true },
    y: { type: 'log', label: '↑ ms', grid: true, ticks: 5, tickFormat: (value: number) => writeNumber(value) },
    marks: [
      Plot.lineY(points, { ...place, z: 'line', stroke: 'colour', strokeWidth: 2 }),
      Plot.dot(points, { ...place, fill: 'colour', r: 3, title }),
    ],
  });
}
