/**
 * Reads the Prometheus text format (exposition format 0.0.4), strictly: what a scraper would refuse is an error here.
 * Ours, for the one parser on npm is unmaintained and takes broken lines for good ones. @module
 */

/** One line with a value. */
export type MetricSample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

/** All that one scrape says. */
export class MetricsText {
  readonly #samples: ReadonlyMap<string, readonly MetricSample[]>;
  /** By family. */
  readonly types: ReadonlyMap<string, string>;

  constructor(samples: readonly MetricSample[], types: ReadonlyMap<string, string>) {
    this.#samples = Map.groupBy(samples, ({ name }) => name);
    this.types = types;
  }

  /** Samples of a name that have all of these labels. */
  samples(name: string, labels: Readonly<Record<string, string>> = {}): readonly MetricSample[] {
    const wanted = Object.entries(labels);
    return (this.#samples.get(name) ?? []).filter((sample) =>
      wanted.every(([label, value]) => sample.labels[label] === value),
    );
  }

  /** Their sum; 0 when there are none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.samples(name, labels).reduce((sum, { value }) => sum + value, 0);
  }

  has(name: string): boolean {
    return this.#samples.has(name);
  }

  /** Every sample of a counter. */
  *counters(): Generator<MetricSample> {
    for (const [name, samples] of this.#samples) if (this.types.get(name) === 'counter') yield* samples;
  }
}

/** A text that is not in the format: the line, and why. */
export class BadMetrics extends Error {
  override readonly name = 'BadMetrics';
}

const typeLine = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram|summary|untyped)$/;
const sampleLine = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?$/;
const labelText = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;

/** @throws BadMetrics */
export function parseMetrics(text: string): MetricsText {
  if (!text.endsWith('\n')) throw new BadMetrics('the last line has no end');
  const samples: MetricSample[] = [];
  const types = new Map<string, string>();
  const seen = new Set<string>();
  for (const [at, line] of text.split('\n').entries()) {
    const refuse = (why: string) => new BadMetrics(`line ${at + 1}, ${JSON.stringify(line)}: ${why}`);
    if (line.startsWith('# TYPE')) {
      const [, family = '', type = ''] = typeLine.exec(line) ?? [];
      if (family === '') throw refuse('no type');
      if (types.has(family)) throw refuse('a second type');
      types.set(family, type);
    }
    if (line === '' || line.startsWith('#')) continue;
    const [, name = '', labels = '', number = ''] = sampleLine.exec(line) ?? [];
    if (name === '') throw refuse('no sample');
    const sample = { name, labels: labelsOf(labels, refuse), value: numberOf(number, refuse) };
    const key = `${name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
    if (seen.has(key)) throw refuse('the same sample again');
    seen.add(key);
    samples.push(sample);
  }
  return new MetricsText(samples, types);
}

function labelsOf(text: string, refuse: (why: string) => Error): Record<string, string> {
  const labels: Record<string, string> = {};
  labelText.lastIndex = 0;
  while (labelText.lastIndex < text.length) {
    const [, name, value] = labelText.exec(text) ?? [];
    if (name === undefined || value === undefined) throw refuse('broken labels');
    if (Object.hasOwn(labels, name)) throw refuse(`the label ${name} twice`);
    labels[name] = value.replace(/\\([\\"n])/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
  }
  return labels;
}

// As Prometheus does (Go's ParseFloat), in any case: @prometheus-io/client writes "Nan".
function numberOf(text: string, refuse: (why: string) => Error): number {
  if (/^nan$/i.test(text)) return Number.NaN;
  if (/^[+-]?inf$/i.test(text)) return Number(text.replace(/inf/i, 'Infinity'));
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw refuse('no number');
  return Number(text);
}
