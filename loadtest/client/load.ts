/** Puts a server under load with client/discard.c. @module */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { compile } from '../run/compile.ts';
import type { Command } from '../run/process.ts';

const sources = [
  ...['answer.c', 'discard.c', 'expected.c', 'histogram.c', 'options.c', 'outcome.c', 'request.c', 'response.c'],
  ...['schedule.c', 'socket.c'],
];

/** What to ask for: ranges of `size` bytes at random pages of a region, one outstanding on each connection. */
export type Load = {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  /** Of all of the region: it is asked for without a Range. */
  readonly size: number;
  readonly regionBytes: number;
  /** The end, by time or by the number of requests: whichever comes first. */
  readonly seconds?: number;
  readonly count?: number;
  /** Requests a second; latencies then count from when a request was due. Default: as many as are answered. */
  readonly rate?: number;
  /** The same seed asks for the same ranges. */
  readonly seed: number;
  /** A new connection for each request, closed by the client; latencies count from before it is made. */
  readonly fresh?: boolean;
  /** The file that bodies are compared with. Default: they are thrown away in the kernel. */
  readonly verify?: string;
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
  /** Responses that were not what was asked for, or none. */
  readonly errors: number;
  readonly firstError: string | null;
};

/** A client whose connections are made (but with `fresh`), and that has asked for nothing yet. */
export type Client = {
  /** Asks, and resolves when all is answered. The connections stay. */
  readonly go: () => Promise<LoadResult>;
  /** Closes the connections. @throws Error when the server had ended one of them */
  readonly end: () => Promise<void>;
};

/** Compiles the client into a folder. */
export function compileClient(folder: string): Promise<string> {
  const paths = sources.map((name) => fileURLToPath(new URL(name, import.meta.url)));
  return compile(folder, 'discard', paths);
}

/**
 * Starts a client.
 *
 * @param command what runs the compiled client, with the program that pins it before it
 * @throws Error when it can't run or connect; AbortError
 */
export async function connectClient(command: Command, load: Load, signal: AbortSignal): Promise<Client> {
  const [program, ...args] = command;
  const child = spawn(program, [...args, ...loadArguments(load)], { signal, stdio: ['pipe', 'pipe', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  child.stdin.on('error', () => {}); // It has ended: its exit tells.
  const exit = once(child, 'close').then(([code, killed]) => code ?? killed);
  exit.catch(() => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`the load client ended (${await exit}): ${complaint}`);
    return value;
  };
  await nextLine();
  return {
    async go() {
      child.stdin.write('\n');
      return readResult(await nextLine());
    },
    async end() {
      child.stdin.end();
      const code = await exit;
      if (code === closedEarly) throw new Error('the server has ended connections that were to stay');
      if (code !== 0) throw new Error(`the load client ended (${code}): ${complaint}`);
    },
  };
}

const closedEarly = 3;

/** Runs one load to its end. @see connectClient */
export async function runLoad(command: Command, load: Load, signal: AbortSignal): Promise<LoadResult> {
  const client = await connectClient(command, load, signal);
  const result = await client.go();
  await client.end();
  return result;
}

/** The command line of a load. */
export function loadArguments(load: Load): string[] {
  const { port, path, connections, size, regionBytes, seconds, count, rate, seed, verify } = load;
  const values = { port, path, connections, size, region: regionBytes, seconds, count, rate, seed, verify };
  const options = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  return load.fresh ? [...options, '--fresh'] : options;
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
