/** What the service itself told while it ran: a point for each scrape. @module */
import type { ScrapePoint } from '../../scrape/scraper.ts';
import type { Results } from '../results.ts';
import { type Chart, colourOf, draw, legend, Plot } from './drawing.ts';

const wide = 900;

type Point = { readonly at: number; readonly value: number; readonly line: string };

/** Charts over the seconds of the run, for one service. */
export function timeCharts({ series, trials, baseline, seconds }: Results): Chart[] {
  const begins = beginsOf(trials, baseline);
  // What was before is starting servers.
  const frame = { begins, first: Math.max(0, (begins[0]?.at ?? 0) - 1), seconds };
  const points = (series[baseline] ?? []).filter(({ at }) => at >= frame.first);
  if (points.length < 2) return [];
  const line = (value: (point: ScrapePoint) => number | undefined) =>
    points.flatMap((point): Point[] => {
      const is = value(point);
      return is === undefined ? [] : [{ at: point.at, value: is, line: '' }];
    });
  const delays = line((at) => at.eventLoopDelayMilliseconds?.p99);
  const memory = line((at) => at.residentBytes / 2 ** 20);
  const rates = engineRates(points);
  const engines = [...new Set(rates.filter(({ value }) => value > 0).map(({ line }) => line))];
  const drawn: [id: string, title: string, note: string, unit: string, points: Point[]][] = [
    [
      'references',
      'References held',
      'Shared holds on pages, at each scrape.',
      'references',
      line((at) => at.references),
    ],
    ['held', 'Bytes held', 'Under references, in MiB.', 'MiB', line((at) => at.heldBytes / 2 ** 20)],
    ['engines', 'Bytes by engine', 'Taken by sockets, in MB a second between two scrapes.', 'MB/s', rates],
    ['processor', 'Processor', 'Of the service, in processors.', 'processors', cpuRates(points)],
    ['event-loop', 'Event-loop delay', 'p99 since the scrape before: its bucket of a histogram.', 'ms', delays],
    ['memory', 'Memory', 'Resident, with the pages of the region that are mapped.', 'MiB', memory],
  ];
  const charts = drawn.map(([id, title, note, unit, of]) => {
    const svg = id === 'engines' ? legend(engines) + areas(of, engines, frame) : lines(of, unit, frame);
    return { id, title, note, svg, isWide: true };
  });
  return charts.filter(({ svg }) => svg !== '');
}

type Frame = {
  readonly begins: readonly { at: number; name: string }[];
  readonly first: number;
  readonly seconds: number;
};

function beginsOf(trials: Results['trials'], baseline: string): Frame['begins'] {
  const own = trials.filter(({ server }) => server === baseline);
  return own.flatMap(({ scenario, at }, index) =>
    own[index - 1]?.scenario === scenario ? [] : [{ at, name: scenario }],
  );
}

function engineRates(points: readonly ScrapePoint[]): Point[] {
  return pairs(points).flatMap(([before, { at, sentBytes }]) =>
    Object.entries(sentBytes).map(([line, bytes]) => {
      const value = (bytes - (before.sentBytes[line] ?? 0)) / 1e6 / (at - before.at);
      return { at, value, line };
    }),
  );
}

function cpuRates(points: readonly ScrapePoint[]): Point[] {
  return pairs(points).map(([before, { at, cpuSeconds }]) => {
    return { at, value: (cpuSeconds - before.cpuSeconds) / (at - before.at), line: 'CPU' };
  });
}

// Two scrapes within a moment tell no rate, nor do those of two services.
function pairs(points: readonly ScrapePoint[]): [ScrapePoint, ScrapePoint][] {
  const found: [ScrapePoint, ScrapePoint][] = [];
  let last = points[0];
  for (const point of points) {
    if (!last || (point.origin === last.origin && point.at - last.at < 0.2)) continue;
    if (point.origin === last.origin) found.push([last, point]);
    last = point;
  }
  return found;
}

function lines(points: readonly Point[], label: string, frame: Frame): string {
  if (points.length === 0) return '';
  const marks = [
    Plot.areaY(points, { x: 'at', y: 'value', fill: colourOf(0), fillOpacity: 0.15, curve: 'step-after' }),
    Plot.lineY(points, { x: 'at', y: 'value', stroke: colourOf(0), strokeWidth: 1.5, curve: 'step-after' }),
  ];
  return over(marks, label, frame);
}

function areas(points: readonly Point[], engines: readonly string[], frame: Frame): string {
  const shown = points.filter(({ line }) => engines.includes(line));
  if (shown.length === 0) return '';
  const fill = ({ line }: Point) => colourOf(engines.indexOf(line));
  return over([Plot.areaY(shown, { x: 'at', y: 'value', fill, z: 'line', curve: 'step-before' })], 'MB/s', frame);
}

/** Of the whole width: names that are nearer to each other can't be read. */
const leastApart = 0.016;

function apart(begins: Frame['begins'], seconds: number): Frame['begins'] {
  const shown: { at: number; name: string }[] = [];
  for (const begin of begins) {
    if (begin.at - (shown.at(-1)?.at ?? Number.NEGATIVE_INFINITY) >= leastApart * seconds) shown.push(begin);
  }
  return shown;
}

function over(marks: Plot.Markish[], label: string, { begins, first, seconds }: Frame): string {
  return draw({
    width: wide,
    height: 275,
    marginTop: 95,
    marginBottom: 42,
    marginLeft: 60,
    marginRight: 40,
    x: { label: 'seconds →', domain: [first, seconds], clamp: true },
    y: { label: `↑ ${label}`, grid: true, ticks: 4, nice: true, zero: true },
    color: { type: 'identity' },
    marks: [
      ...marks,
      Plot.ruleX(begins, { x: 'at', strokeOpacity: 0.35, strokeDasharray: '2,3' }),
      Plot.text(apart(begins, seconds - first), {
        ...{ x: 'at', text: 'name', frameAnchor: 'top', rotate: -60, textAnchor: 'start', dy: -6, dx: 2 },
        fontSize: 10,
        fill: 'currentColor',
      }),
      Plot.ruleY([0]),
    ],
  });
}
