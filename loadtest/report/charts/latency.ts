/** Latency percentiles, on a logarithmic scale. @module */

import type { Results } from '../results.ts';
import { isCompared } from '../row-cells.ts';
import type { Row } from '../rows.ts';
import { writeNumber } from '../units.ts';
import { type Chart, chartWidth, colourOf, draw, legend, Plot } from './drawing.ts';

const percentiles = [
  ['p50', 'p50'],
  ['p75', 'p75'],
  ['p90', 'p90'],
  ['p99', 'p99'],
  ['p999', 'p99.9'],
  ['max', 'max'],
] as const;

type Point = {
  readonly percentile: string;
  readonly milliseconds: number;
  readonly line: string;
  readonly colour: string;
};

/** A chart for each scenario that several servers ran, and one for all others. */
export function latencyCharts({ rows: all, scenarios, servers, baseline }: Results): Chart[] {
  const rows = all.filter(({ idle }) => idle === null);
  const byServer = ({ server }: Row) => colourOf(servers.findIndex(({ name }) => name === server));
  const inScenario = (name: string) => rows.filter(({ scenario }) => scenario === name);
  const compared = scenarios.filter(({ name }) => isCompared(inScenario(name), baseline));
  const charts = compared.map(({ name, about, rate }) => {
    const points = inScenario(name).flatMap((row) => pointsOf(row, row.server, byServer(row)));
    const how = rate === undefined ? 'closed loop' : 'at a fixed rate, corrected for coordinated omission';
    return { id: `latency-${name}`, title: name, note: `${about}; ${how}`, svg: drawLines(points) };
  });
  const alone = rows.filter(({ scenario }) => !compared.some(({ name }) => name === scenario));
  if (alone.length === 0) return charts;
  const points = alone.flatMap((row, at) => pointsOf(row, row.scenario, colourOf(at)));
  const names = legend(alone.map(({ scenario }) => scenario));
  const note = 'Patterns that only the service under test ran. Slow readers take as long as they want to.';
  return [...charts, { id: 'latency-alone', title: 'other patterns', note, svg: names + drawLines(points) }];
}

function pointsOf({ latency }: Row, line: string, colour: string): Point[] {
  return percentiles.flatMap(([key, percentile]) => {
    const milliseconds = latency[key] / 1000;
    return milliseconds > 0 ? [{ percentile, milliseconds, line, colour }] : [];
  });
}

function drawLines(points: readonly Point[]): string {
  return draw({
    height: Math.round(chartWidth * 0.6),
    marginLeft: 55,
    marginRight: 15,
    marginTop: 28,
    marginBottom: 28,
    x: { type: 'point', domain: percentiles.map(([, name]) => name), label: null, grid: true },
    y: { type: 'log', label: '↑ ms', grid: true, ticks: 5, tickFormat: (value: number) => writeNumber(value) },
    color: { type: 'identity' },
    marks: [
      Plot.lineY(points, { x: 'percentile', y: 'milliseconds', z: 'line', stroke: 'colour', strokeWidth: 2 }),
      Plot.dot(points, { x: 'percentile', y: 'milliseconds', fill: 'colour', r: 3, title: titleOf }),
    ],
  });
}

function titleOf({ line, percentile, milliseconds }: Point): string {
  return `${line}, ${percentile}: ${writeNumber(milliseconds)} ms`;
}
