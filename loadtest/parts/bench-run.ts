import type { Pins } from '../measure/pin.ts';
import type { BenchOptions } from '../options.ts';
import type { Command } from '../run/process.ts';
import type { RunScope } from '../run-scope.ts';

/** Of the file that is served, in bytes. */
export const regionBytes = 64 * 2 ** 20;

/** A file system in memory. */
export const memoryFolder = '/dev/shm';

/** What the parts of one run share. */
export type BenchRun = {
  readonly scope: RunScope;
  readonly options: BenchOptions;
  readonly pins: Pins | undefined;
  /** For what is compiled and configured. */
  readonly folder: string;
  /** The load client. */
  readonly client: Command;
};

/** The plan of rounds, but for what takes turns. */
export function planOf({ scope, options, client }: BenchRun) {
  const { rounds, seconds, connections } = options;
  return { rounds, seconds, connections, regionBytes, client, signal: scope.signal };
}
