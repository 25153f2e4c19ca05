import { type Pins, pinned } from '../measure/pin.ts';
import type { BenchOptions } from '../options.ts';
import type { Command } from '../run/process.ts';
import type { Driver } from '../run/rounds.ts';
import type { RunScope } from '../run-scope.ts';

/** A file system in memory. */
export const memoryFolder = '/dev/shm';

/** What the parts of one run share. */
export type BenchRun = {
  readonly scope: RunScope;
  readonly options: BenchOptions;
  /** For servers that have one processor. */
  readonly pins: Pins | undefined;
  /** For what is compiled and configured. */
  readonly folder: string;
  /** The load client, not pinned. */
  readonly client: Command;
};

/** What runs loads on servers that are pinned like this. */
export function driverOf({ scope, client }: BenchRun, pins: Pins | undefined): Driver {
  return { client: pinned(pins?.client, client), signal: scope.signal };
}

/** What puts a server to its processors. */
export function serverPin(pins: Pins | undefined): (command: Command) => Command {
  return (command) => pinned(pins?.server, command);
}
