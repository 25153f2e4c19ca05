/** From a scenario to what is asked for. @module */
import { pick, type Random, scatter, zipf } from './random.ts';
import { regionsOf, type Scenario } from './scenario.ts';

/** Bytes of a region, first and last, both inclusive. */
export type Span = readonly [number, number];

/** One request. */
export type Ask = {
  /** Which region, by its number. */
  readonly region: number;
  /** The value of Range; undefined for the whole region. */
  readonly range: string | undefined;
  /** What it means for this region, in the order in which it is to come. */
  readonly spans: readonly Span[];
  /** An entity tag: the bytes before these came with it. */
  readonly ifRange?: string;
  /** Breaks off when so many bytes of the body are there. */
  readonly abortAfter?: number;
  /** Reads no faster. */
  readonly bytesPerSecond?: number;
};

/** What came of a request: what the next one may depend on. */
export type Came = { readonly bytes: number; readonly etag: string | undefined };

/** Asks of one connection, one after the other. */
export type Asks = (came?: Came) => Ask;

const pageBytes = 4096;
const footerBytes = 65_536;
const footerLengthBytes = 8;
const chunksOfQuery = 4;
const segmentsOfViewer = 8;
const partsOfRequest = 4;

/** One range of bytes. */
function rangeAsk(first: number, last: number): Ask {
  return { region: 0, range: `bytes=${first}-${last}`, spans: [[first, last]] };
}

/** Which of the regions is next. */
function picker(scenario: Asking, random: Random): () => number {
  const { count, pick: how } = regionsOf(scenario);
  if (count === 1) return () => 0;
  let turn = pick(random, count);
  const rank = zipf(random, count);
  const picks = {
    turn: () => turn++ % count,
    uniform: () => pick(random, count),
    zipf: () => scatter(rank(), count),
  };
  return picks[how];
}

type Asking = Pick<Scenario, 'pattern' | 'size' | 'bytesPerSecond' | 'regions'>;

/** The asks of one connection of a scenario, in regions of so many bytes each. */
export function asksOf(scenario: Asking, regionBytes: number, random: Random): Asks {
  const within = inRegion(scenario, regionBytes, random);
  const next = picker(scenario, random);
  return (came) => ({ ...within(came), region: next() });
}

function inRegion(scenario: Asking, regionBytes: number, random: Random): Asks {
  const size = Math.min(scenario.size, regionBytes);
  const any = () => aligned(random, size, regionBytes);
  // A region as ranges of one size, one behind the other: how many there are, and one of them.
  const count = Math.max(1, Math.floor(regionBytes / size));
  const nth = (at: number) => rangeAsk(at * size, (at + 1) * size - 1);
  const makers: Record<Scenario['pattern'], () => Asks> = {
    random: () => any,
    sequential() {
      let at = pick(random, count);
      return () => nth(at++ % count);
    },
    zipf() {
      const rank = zipf(random, count);
      return () => nth(scatter(rank(), count));
    },
    media() {
      let [at, left] = [0, 0];
      return () => {
        if (left-- <= 0 || at >= count) [at, left] = [pick(random, count), pick(random, segmentsOfViewer)];
        return nth(at++);
      };
    },
    parquet: () => parquet(random, size, regionBytes),
    resume: () => resume(random, size, regionBytes),
    slow: () => () => ({ ...any(), bytesPerSecond: scenario.bytesPerSecond ?? size }),
    'multi-range': () => () => several(random, size, regionBytes),
    whole: () => () => ({ region: 0, range: undefined, spans: [[0, regionBytes - 1]] }),
  };
  return makers[scenario.pattern]();
}

function aligned(random: Random, size: number, regionBytes: number): Ask {
  const first = pick(random, Math.floor((regionBytes - size) / pageBytes) + 1) * pageBytes;
  return rangeAsk(first, first + size - 1);
}

function parquet(random: Random, size: number, regionBytes: number): Asks {
  let step = 0;
  return () => {
    const at = step++ % (2 + chunksOfQuery);
    if (at === 0) {
      const bytes = Math.min(footerLengthBytes, regionBytes);
      return { region: 0, range: `bytes=-${bytes}`, spans: [[regionBytes - bytes, regionBytes - 1]] };
    }
    if (at === 1) return rangeAsk(Math.max(0, regionBytes - footerBytes), regionBytes - 1);
    // Column chunks begin and end anywhere.
    const bytes = Math.max(1, Math.floor(size * (0.5 + random())));
    const first = pick(random, Math.max(1, regionBytes - bytes));
    return rangeAsk(first, Math.min(regionBytes, first + bytes) - 1);
  };
}

function resume(random: Random, size: number, regionBytes: number): Asks {
  let broken: Ask | undefined;
  return (came) => {
    const [span] = broken?.spans ?? [];
    broken = undefined;
    if (span && came?.etag !== undefined && span[0] + came.bytes <= span[1]) {
      return { ...rangeAsk(span[0] + came.bytes, span[1]), ifRange: came.etag };
    }
    broken = { ...aligned(random, size, regionBytes), abortAfter: Math.floor(size * (0.2 + 0.6 * random())) };
    return broken;
  };
}

// Ascending and apart: what overlaps or touches would be made one.
function several(random: Random, size: number, regionBytes: number): Ask {
  const stride = Math.floor(regionBytes / partsOfRequest / pageBytes) * pageBytes;
  if (stride < size + 2 * pageBytes) return aligned(random, size, regionBytes);
  const spans = Array.from({ length: partsOfRequest }, (_, part): Span => {
    const first = part * stride + pick(random, Math.floor((stride - size) / pageBytes)) * pageBytes;
    return [first, first + size - 1];
  });
  return { region: 0, range: `bytes=${spans.map(([first, last]) => `${first}-${last}`).join(',')}`, spans };
}
