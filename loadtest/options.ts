/** The command line of `npm run bench`. @module */
import { parseArgs } from 'node:util';
import { parseSize } from './report/units.ts';

/** What can be measured. */
export const parts = ['servers', 'writing'] as const;

/** Beside other servers; with and without a writer. */
export type Part = (typeof parts)[number];

/** What to measure. */
export type BenchOptions = {
  readonly parts: readonly Part[];
  readonly rounds: number;
  /** Of load on one peer in one round. */
  readonly seconds: number;
  /** Bytes of a range, beside other servers. */
  readonly sizes: readonly number[];
  /** Words of peers/all.ts; the baseline always runs. */
  readonly peers: readonly string[];
  readonly connections: number;
  /** The report. */
  readonly out: string;
};

/** A command line that breaks a rule. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** How to call it. */
export function usage(peers: readonly string[]): string {
  return `npm run bench -- [--rounds N] [--seconds S] [--sizes 4K,64K,1M,16M] [--peers ${peers.join(',')}]
                 [--connections N] [--parts ${parts.join(',')}] [--out PATH]`;
}

/**
 * Reads a command line.
 *
 * @param known words of peers; the first one is the baseline
 * @param largest bytes of a range, at most
 * @throws UsageError
 */
export function parseBenchOptions(argv: readonly string[], known: readonly string[], largest: number): BenchOptions {
  const text = parseTexts(argv);
  const asked = text.peers === undefined ? known : text.peers.split(',');
  const unknown = asked.find((word) => !known.includes(word));
  if (unknown !== undefined) throw new UsageError(`there is no peer ${unknown}`);
  return {
    parts: partsOf(text.parts ?? parts.join(',')),
    rounds: whole('rounds', text.rounds ?? '5', 100),
    seconds: seconds(text.seconds ?? '1'),
    sizes: (text.sizes ?? '4K,64K,1M,16M').split(',').map((size) => sizeOf(size, largest)),
    peers: known.filter((word, at) => at === 0 || asked.includes(word)),
    connections: whole('connections', text.connections ?? '16', 1000),
    out: text.out ?? 'docs/benchmarks.md',
  };
}

function parseTexts(argv: readonly string[]) {
  const option = { type: 'string' } as const;
  const names = ['parts', 'rounds', 'seconds', 'sizes', 'peers', 'connections', 'out'] as const;
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
