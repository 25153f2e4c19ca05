/** The last minutes as lines: bytes by engine, and what was held. @module */
import { bytes, count } from './format.js';
import { colour, onThemeChange } from './theme.js';

const { uPlot } = globalThis;

/** Two minutes at the highest rate of updates. */
const mostPoints = 480;
/** A chart that is new shows less, for little of it has anything to show. */
const shownSeconds = { least: 30, most: 120 };
const height = 170;

const powersOf = (base, most) => Array.from({ length: most }, (_, exponent) => base ** exponent);
/** What lines of a scale may be apart: round numbers as its unit has them. */
const steps = {
  bytes: powersOf(2, 50),
  count: powersOf(10, 12).flatMap((power) => [power, 2 * power, 5 * power]),
};

/** One chart, with a legend of its own that says the newest values in words. */
class Chart {
  #place;
  #key;
  #series;
  #scales;
  #times = [];
  #values;
  #plot;

  /** @param series {{name: string, line: string, scale: string, format(value: number): string, always: boolean}[]} */
  constructor(place, key, series) {
    this.#place = place;
    this.#key = key;
    this.#series = series;
    this.#scales = [...new Set(series.map(({ scale }) => scale))];
    this.#values = series.map(() => []);
    this.#make();
    onThemeChange(() => this.#make());
    new ResizeObserver(() => this.#plot.setSize({ width: place.clientWidth, height })).observe(place);
  }

  add(seconds, values) {
    // Time that was not watched is no slope between two values.
    const last = this.#times.at(-1);
    if (last !== undefined && seconds < last) this.#clear();
    this.#times.push(seconds);
    for (const [at, value] of values.entries()) this.#values[at].push(value);
    if (this.#times.length > mostPoints) for (const list of [this.#times, ...this.#values]) list.shift();
    this.#plot.setData([
      this.#times,
      ...this.#values.map((list, at) => (this.#isShown(at) ? list : list.map(() => null))),
    ]);
    this.#showKey(values);
  }

  #clear() {
    this.#times = [];
    this.#values = this.#series.map(() => []);
  }

  #isShown(at) {
    return this.#series[at].always || this.#values[at].some((value) => value > 0);
  }

  #showKey(values) {
    const shown = values.flatMap((value, at) => (this.#isShown(at) ? [{ ...this.#series[at], value }] : []));
    while (this.#key.children.length > shown.length) this.#key.lastElementChild.remove();
    for (const [at, { name, line, format, value }] of shown.entries()) {
      const item = this.#key.children[at] ?? this.#key.appendChild(keyItem());
      const [swatch, label, figure] = item.children;
      swatch.dataset.line = line;
      label.textContent = name;
      figure.textContent = format(value);
    }
  }

  #make() {
    this.#plot?.destroy();
    const axes = this.#scales.map((scale, at) => {
      const { format } = this.#series.find((series) => series.scale === scale);
      return valueAxis({ scale, format, isFirst: at === 0 });
    });
    const options = {
      width: Math.max(200, this.#place.clientWidth),
      height,
      legend: { show: false },
      cursor: { show: false },
      padding: [8, this.#scales.length > 1 ? 0 : 12, 0, 0],
      scales: {
        x: { time: false, range: (_, oldest, newest) => [newest - windowOf(newest - oldest), newest] },
        ...Object.fromEntries(this.#scales.map((scale) => [scale, { range: (_, __, most) => [0, roomFor(most)] }])),
      },
      axes: [timeAxis(), ...axes],
      series: [
        {},
        ...this.#series.map(({ name, line, scale }) => ({
          label: name,
          scale,
          stroke: colour(`line-${line}`),
          width: 1.5,
          points: { show: false },
        })),
      ],
    };
    this.#plot = new uPlot(options, [this.#times, ...this.#values], this.#place);
  }
}

// Headroom, and a scale even where all is zero.
function roomFor(most) {
  return most > 0 ? most * 1.1 : 1;
}

function windowOf(seconds) {
  return Math.min(shownSeconds.most, Math.max(shownSeconds.least, seconds));
}

function valueAxis({ scale, format, isFirst }) {
  return {
    ...looks(),
    scale,
    side: isFirst ? 3 : 1,
    grid: { stroke: colour('grid'), width: 1, show: isFirst },
    incrs: steps[scale],
    values: (_, splits) => splits.map((value) => (value === null ? '' : format(value))),
    size: isFirst ? 68 : 40,
    space: 34,
  };
}

function timeAxis() {
  return {
    ...looks(),
    scale: 'x',
    grid: { show: false },
    splits: ({ scales: { x } }) => marksWithin(x.max - x.min).map((seconds) => x.max - seconds),
    values: ({ scales: { x } }, splits) => splits.map((value) => ago(x.max - value)),
    size: 22,
  };
}

function marksWithin(seconds) {
  const step = seconds > 80 ? 30 : seconds > 30 ? 20 : 10;
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, at) => at * step).reverse();
}

function looks() {
  return { stroke: colour('quiet'), font: '11px system-ui, sans-serif', ticks: { show: false }, gap: 6 };
}

function ago(seconds) {
  const whole = Math.round(seconds);
  return whole === 0 ? 'now' : `−${whole} s`;
}

function keyItem() {
  const item = document.createElement('li');
  const swatch = Object.assign(document.createElement('span'), { className: 'swatch' });
  item.append(swatch, document.createElement('span'), document.createElement('b'));
  return item;
}

const engines = ['sendfile', 'splice', 'zerocopy', 'copy', 'stream'];
const perSecond = (value) => `${bytes(value)}/s`;

/** Both charts of the page. */
export class Charts {
  #rates;
  #held;

  constructor({ rates, ratesKey, held, heldKey }) {
    const lines = engines.map((name) => ({ name, line: name, scale: 'bytes', format: perSecond, always: false }));
    this.#rates = new Chart(rates, ratesKey, lines);
    this.#held = new Chart(held, heldKey, [
      { name: 'bytes', line: 'held', scale: 'bytes', format: bytes, always: true },
      { name: 'responses', line: 'references', scale: 'count', format: count, always: true },
    ]);
  }

  show({ at, totals }, rates) {
    const seconds = at / 1000;
    if (rates)
      this.#rates.add(
        seconds,
        engines.map((name) => rates.engines[name]),
      );
    this.#held.add(seconds, [totals.heldBytes, totals.references]);
  }
}
