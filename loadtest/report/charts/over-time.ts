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
  const line = (value: (point: ScrapePoint) => number | undefined): Point[] =>
    points.flatMap((point) => {
      const is = value(point);
      return is === undefined ? [] : [{ at: point.at, value: is, line: '' }];
    });
  const chart = (id: string, title: string, note: string, unit: string, drawn: readonly Point[]): Chart => {
    return { id, title, note, svg: areas(drawn, unit, frame), isWide: true };
  };
  const references = line((at) => at.references);
  const held = line((at) => at.heldBytes / 2 ** 20);
  const rates = engineRates(points);
  const delays = line((at) => at.eventLoopDelayMilliseconds?.p99);
  const memory = line((at) => at.residentBytes / 2 ** 20);
  return [
    chart('references', 'References held', 'Shared holds on pages, at each scrape.', 'references', references),
    chart('held', 'Bytes held', 'Under references, in MiB.', 'MiB', held),
    chart('engines', 'Bytes by engine', 'Taken by sockets, in MB a second between two scrapes.', 'MB/s', rates),
    chart('processor', 'Processor', 'Of the service, in processors.', 'processors', cpuRates(points)),
    chart('event-loop', 'Event-loop delay', 'p99 since the scrape before: its bucket of a histogram.', 'ms', delays),
    chart('memory', 'Memory', 'Resident, with the pages of the region that are mapped.', 'MiB', memory),
  ].filter(({ svg }) => svg !== '');
}

type Begin = { readonly at: number; readonly name: string };
type Frame = { readonly begins: readonly Begin[]; readonly first: number; readonly seconds: number };

function beginsOf(trials: Results['trials'], baseline: string): Frame['begins'] {
  const own = trials.filter(({ server }) => server === baseline);
  return own.flatMap(({ scenario, at }, index) =>
    own[index - 1]?.scenario === scenario ? [] : [{ at, name: scenario }],
  );
}

function engineRates(points: readonly ScrapePoint[]): Point[] {
  const all = pairs(points).flatMap(([before, { at, sentBytes }]) =>
    Object.entries(sentBytes).map(([line, bytes]) => {
      const value = (bytes - (before.sentBytes[line] ?? 0)) / 1e6 / (at - before.at);
      return { at, value, line };
    }),
  );
  const used = new Set(all.filter(({ value }) => value > 0).map(({ line }) => line));
  return all.filter(({ line }) => used.has(line));
}

function cpuRates(points: readonly ScrapePoint[]): Point[] {
  return pairs(points).map(([before, { at, cpuSeconds }]) => {
    return { at, value: (cpuSeconds - before.cpuSeconds) / (at - before.at), line: '' };
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

// One upon the other, where there are several lines.
function areas(points: readonly Point[], unit: string, frame: Frame): string {
  if (points.length === 0) return '';
  const lines = [...new Set(points.map(({ line }) => line))];
  const fill = ({ line }: Point) => colourOf(lines.indexOf(line));
  const area = Plot.areaY(points, { x: 'at', y: 'value', z: 'line', fill, fillOpacity: 0.6, curve: 'step-before' });
  return (lines[0] === '' ? '' : legend(lines)) + over(area, unit, frame);
}

/** Of the whole width: names that are nearer to each other can't be read. */
const leastApart = 0.016;

function apart(begins: readonly Begin[], seconds: number): Begin[] {
  let last = Number.NEGATIVE_INFINITY;
  return begins.filter(({ at }) => {
    const isApart = at - last >= leastApart * seconds;
    if (isApart) last = at;
    return isApart;
  });
}

function over(mark: Plot.Markish, label: string, { begins, first, seconds }: Frame): string {
  return draw({
    ...{ width: wide, height: 275, marginTop: 95, marginBottom: 42, marginLeft: 60, marginRight: 40 },
    x: { label: 'seconds →', domain: [first, seconds], clamp: true },
    y: { label: `↑ ${label}`, grid: true, ticks: 4, nice: true, zero: true },
    color: { type: 'identity' },
    marks: [
      mark,
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
