/** Throughput, and what it costs: bars from zero, with the smallest and the largest round. @module */

import type { Results } from '../results.ts';
import { isCompared, limitInWords } from '../row-cells.ts';
import type { Row } from '../rows.ts';
import type { Spread } from '../statistics.ts';
import { writeNumber } from '../units.ts';
import { type Chart, colourOf, draw, Plot } from './drawing.ts';

type Bar = { readonly name: string; readonly value: Spread; readonly colour: string; readonly mark: string };

type Figure = { readonly id: string; readonly label: string; readonly of: (row: Row) => Spread | null };

/** What is drawn as bars. */
export const throughput: Figure = { id: 'throughput', label: 'MB/s', of: (row) => row.megabytesPerSecond };
export const cpu: Figure = { id: 'cpu', label: 'CPU s/GB', of: (row) => row.cpuSecondsPerGigabyte };

/** A chart for each scenario that several servers ran, and one for all others. */
export function barCharts({ rows, scenarios, servers, baseline }: Results, figure: Figure): Chart[] {
  const colour = (server: string) => colourOf(servers.findIndex(({ name }) => name === server));
  const inScenario = (name: string) => rows.filter(({ scenario }) => scenario === name);
  const compared = scenarios.filter(({ name }) => isCompared(inScenario(name), baseline));
  const charts = compared.map(({ name, about }) => {
    const bars = inScenario(name).flatMap((row) => barOf(row, figure, row.server, colour(row.server)));
    return { id: `${figure.id}-${name}`, title: name, note: about, svg: drawBars(bars, figure.label) };
  });
  const alone = rows.filter(({ scenario }) => !compared.some(({ name }) => name === scenario));
  const bars = alone.flatMap((row) => barOf(row, figure, row.scenario, colour(row.server)));
  const note = 'Patterns that only the service under test ran.';
  const rest = { id: `${figure.id}-alone`, title: 'other patterns', note, svg: drawBars(bars, figure.label) };
  return [...charts, ...(bars.length > 0 ? [rest] : [])].filter(({ svg }) => svg !== '');
}

function barOf(row: Row, { of }: Figure, name: string, colour: string): Bar[] {
  const value = of(row);
  const mark = limitInWords(row) === 'CLIENT' ? ' (client)' : '';
  return value === null || value.median === 0 || row.idle ? [] : [{ name, value, colour, mark }];
}

const barHeight = 26;
/** About, of the labels. */
const letterWidth = 6.6;

function drawBars(bars: readonly Bar[], label: string): string {
  if (bars.length === 0) return '';
  const most = Math.max(...bars.map(({ value }) => value.max));
  return draw({
    height: bars.length * barHeight + 50,
    marginLeft: Math.max(...bars.map(({ name }) => name.length)) * letterWidth + 14,
    marginRight: 12,
    marginTop: 6,
    marginBottom: 38,
    x: { label: `${label} →`, domain: [0, most * room(bars)], grid: true, ticks: 4 },
    y: { label: null, domain: bars.map(({ name }) => name), padding: 0.25 },
    marks: [
      Plot.barX(bars, { x: (bar: Bar) => bar.value.median, y: 'name', fill: (bar: Bar) => bar.colour, title: titleOf }),
      Plot.ruleY(bars, {
        x1: (bar: Bar) => bar.value.min,
        x2: (bar: Bar) => bar.value.max,
        y: 'name',
        strokeWidth: 1.5,
      }),
      Plot.text(bars, {
        x: (bar: Bar) => bar.value.max,
        y: 'name',
        text: (bar: Bar) => writeNumber(bar.value.median) + bar.mark,
        textAnchor: 'start',
        dx: 5,
        fill: 'currentColor',
      }),
      Plot.ruleX([0]),
    ],
    color: { type: 'identity' },
  });
}

// Behind the longest bar, for what is written there.
function room(bars: readonly Bar[]): number {
  return bars.some(({ mark }) => mark !== '') ? 1.8 : 1.35;
}

function titleOf({ name, value }: Bar): string {
  return `${name}: ${writeNumber(value.median)} (${writeNumber(value.min)} to ${writeNumber(value.max)})`;
}
