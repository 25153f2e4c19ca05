/** Puts a server under load with client/discard.c. @module */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compile } from '../run/compile.ts';
import type { Command } from '../run/process.ts';

const run = promisify(execFile);
const sources = ['discard.c', 'histogram.c', 'options.c', 'response.c'];

/** What to ask for: ranges of `size` bytes at random pages of a region, one outstanding on each connection. */
export type Load = {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly size: number;
  readonly regionBytes: number;
  readonly seconds: number;
  /** Requests a second; latencies then count from when a request was due. Default: as many as are answered. */
  readonly rate?: number;
  /** The same seed asks for the same ranges. */
  readonly seed: number;
};

/** What came back. Latencies in microseconds. */
export type LoadResult = {
  readonly requests: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly clientCpuSeconds: number;
  /** Requests of a fixed rate that were due and could not be sent. */
  readonly missed: number;
  /** Responses that were no 206 of the right length, or none. */
  readonly errors: number;
  readonly firstError: string | null;
};

/** Compiles the client into a folder. */
export function compileClient(folder: string): Promise<string> {
  const paths = sources.map((name) => fileURLToPath(new URL(name, import.meta.url)));
  return compile(folder, 'discard', paths);
}

/**
 * Runs one load to its end.
 *
 * @param client what runs the compiled client, with the program that pins it before it
 * @throws Error when the client could not run; AbortError
 */
export async function runLoad(client: Command, load: Load, signal: AbortSignal): Promise<LoadResult> {
  const [program, ...args] = client;
  const { stdout } = await run(program, [...args, ...loadArguments(load)], { signal });
  return readResult(stdout);
}

/** The command line of a load. */
export function loadArguments(load: Load): string[] {
  const { port, path, connections, size, regionBytes, seconds, rate, seed } = load;
  const values = { port, path, connections, size, region: regionBytes, seconds, rate, seed };
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, String(value)]));
}

const numbers = ['requests', 'bytes', 'seconds', 'p50', 'p99', 'max', 'clientCpuSeconds', 'missed', 'errors'] as const;

/** Reads what the client prints. @throws Error when anything is missing */
export function readResult(text: string): LoadResult {
  const result = JSON.parse(text) as Record<string, unknown>;
  for (const name of numbers) {
    if (typeof result[name] !== 'number') throw new Error(`the load client did not tell "${name}": ${text}`);
  }
  return result as LoadResult;
}
