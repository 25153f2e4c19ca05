/** The command line of `npm run bench`. @module */
import { parseArgs } from 'node:util';
import { parseSize } from './report/units.ts';

/** What can be measured. */
export const parts = ['servers', 'connections', 'rate', 'fresh', 'cores', 'node', 'idle', 'writing'] as const;

/**
 * Beside other servers; with few and many connections; latency at a fixed rate; a new connection for each request; two
 * processors; what Node takes of a request, step by step; idle connections; with and without a writer.
 */
export type Part = (typeof parts)[number];

/** What to measure. */
export type BenchOptions = {
  readonly parts: readonly Part[];
  readonly rounds: number;
  /** Of load on one peer in one round. */
  readonly seconds: number;
  /** Bytes of a range, beside other servers. */
  readonly sizes: readonly number[];
  /** Words of peers/all.ts, in their order; the baseline always runs. */
  readonly peers: readonly string[];
  /** Where a part does not vary them. */
  readonly connections: number;
  /** Connections that do nothing. */
  readonly idle: number;
  /** The report. */
  readonly out: string;
};

/** A command line that breaks a rule. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** How to call it. */
export function usage(peers: readonly string[]): string {
  return `npm run bench -- [--rounds N] [--seconds S] [--sizes 4K,64K,1M,16M,1G] [--connections N] [--idle N]
                 [--peers ${peers.join(',')}]
                 [--parts ${parts.join(',')}] [--out PATH]`;
}

/**
 * Reads a command line.
 *
 * @param known words of peers; the first one is the baseline
 * @param usual those that run unless others are asked for
 * @param largest bytes of a range, at most
 * @throws UsageError
 */
export function parseBenchOptions(
  argv: readonly string[],
  known: readonly string[],
  usual: readonly string[],
  largest: number,
): BenchOptions {
  const text = parseTexts(argv);
  const asked = text.peers === undefined ? usual : text.peers.split(',');
  const unknown = asked.find((word) => !known.includes(word));
  if (unknown !== undefined) throw new UsageError(`there is no peer ${unknown}`);
  return {
    parts: partsOf(text.parts ?? parts.join(',')),
    rounds: whole('rounds', text.rounds ?? '5', 100),
    seconds: seconds(text.seconds ?? '0.4'),
    sizes: (text.sizes ?? '4K,64K,1M,16M,1G').split(',').map((size) => sizeOf(size, largest)),
    peers: known.filter((word, at) => at === 0 || asked.includes(word)),
    connections: whole('connections', text.connections ?? '16', 2000),
    idle: whole('idle', text.idle ?? '10000', 20_000),
    out: text.out ?? 'docs/benchmarks.md',
  };
}

function parseTexts(argv: readonly string[]) {
  const option = { type: 'string' } as const;
  const names = ['parts', 'rounds', 'seconds', 'sizes', 'peers', 'connections', 'idle', 'out'] as const;
  const options = Object.fromEntries(names.map((name) => [name, option])) as Record<
    (typeof names)[number],
    typeof option
  >;
  try {
    return parseArgs({ args: [...argv], options, strict: true }).values;
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function partsOf(text: string): Part[] {
  const asked = text.split(',');
  const unknown = asked.find((word) => !parts.some((part) => part === word));
  if (unknown !== undefined) throw new UsageError(`--parts must be some of ${parts.join(',')}`);
  return parts.filter((part) => asked.includes(part));
}

function whole(flag: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new UsageError(`--${flag} must be a whole number from 1 to ${most}`);
}

function seconds(text: string): number {
  const value = Number(text);
  if (value >= 0.1 && value <= 60) return value;
  throw new UsageError('--seconds must be a number from 0.1 to 60');
}

function sizeOf(text: string, largest: number): number {
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes >= 1 && bytes <= largest) return bytes;
  throw new UsageError(`--sizes must be sizes such as 4K or 1M, of at most ${largest} bytes`);
}
