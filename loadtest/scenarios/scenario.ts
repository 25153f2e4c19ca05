/** What a scenario is made of. @module */

/** How a client goes through a region. */
export const patterns = [
  /** Ranges at random pages. */
  'random',
  /** One range after the other, from a random page on. */
  'sequential',
  /** Few ranges most of the time: the rank decides how often (Zipf, exponent 1). */
  'zipf',
  /** A viewer: some segments in a row, then a jump. */
  'media',
  /** An analyst: the length of the footer, the footer, then some column chunks. */
  'parquet',
  /** Breaks off in the middle and asks for the rest, with If-Range. */
  'resume',
  /** Reads slowly. */
  'slow',
  /** Several ranges in one request. */
  'multi-range',
  /** All of it, without a Range. */
  'whole',
] as const;
export type Pattern = (typeof patterns)[number];

/** One way to put a server under load. */
export type Scenario = {
  /** Names it in reports and on the command line. */
  readonly name: string;
  /** What it stands for, in one line. */
  readonly about: string;
  readonly pattern: Pattern;
  /** Bytes of one range; of `parquet` of a column chunk, of `multi-range` of one part. `whole` ignores it. */
  readonly size: number;
  readonly connections: number;
  /** False: a new connection for each request. */
  readonly keepAlive: boolean;
  /** Requests a second in all, latencies corrected for coordinated omission. Undefined: a closed loop. */
  readonly rate?: number;
  /** Of `slow`: what one connection reads. */
  readonly bytesPerSecond?: number;
  /** Overwrites in place meanwhile, a second: runs on a writable service of its own. */
  readonly writes?: number;
  /** Whether every peer runs it, the service under test alone, or it beside some: words of `--peers`. */
  readonly against: 'peers' | 'nobody' | readonly string[];
};

/** How long, how often, and what. */
export type Profile = {
  readonly name: string;
  readonly about: string;
  /** Of load on one server in one round. */
  readonly seconds: number;
  readonly rounds: number;
  /** Where only the service under test runs: nothing is compared there. */
  readonly roundsAlone: number;
  /** Scenarios that peers run, of those that they can; undefined: all. */
  readonly compared?: readonly string[];
  /** Names of scenarios, in their order. */
  readonly scenarios: readonly string[];
  /** All of it again until so many seconds have passed. Undefined: once. */
  readonly repeatForSeconds?: number;
};
