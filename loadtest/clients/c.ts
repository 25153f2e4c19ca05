/**
 * The fastest client: loadtest/client, in C, of which each load is a process. It plays requests that are built here
 * beforehand, over and over, and throws bodies away in the kernel. @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { asksOf } from '../model/patterns.ts';
import { randomFrom } from '../model/random.ts';
import { expectedOf, headText } from '../model/request.ts';
import { type Command, compile, withManyFiles } from '../run/process.ts';
import type { Fault, FaultKind, Job } from './job.ts';
import { encodeLatency, newLatency, recordLatency } from './latency.ts';
import type { ClientResult } from './tally.ts';

const folder = fileURLToPath(new URL('../client', import.meta.url));

/** So many requests are built: more than there are 4 KiB pages in a region, or regions in any scenario. */
const builtRequests = 16_384;
const closedEarly = 3;
const ownField = 'x-request-id: ';

/** What runs the compiled client, with the program that pins it before it, and a folder for what it is told. */
export type CClient = { readonly command: Command; readonly folder: string };

/** A client whose connections are made, where they are kept, and that has asked for nothing yet. */
export type Connected = Awaited<ReturnType<typeof connectC>>;

/** Compiles the client into a folder. */
export function compileClient(into: string): Promise<string> {
  const sources = readdirSync(folder).filter((name) => name.endsWith('.c'));
  return compile(join(into, 'discard'), ...sources.map((name) => join(folder, name)));
}

/**
 * Starts a client.
 *
 * @param verifies whether bodies are compared with the job's reference, byte for byte
 * @throws Error when it can't run or connect; AbortError
 */
export async function connectC(client: CClient, job: Job, signal: AbortSignal, verifies = false) {
  const requests = join(client.folder, 'requests');
  writeFileSync(requests, Buffer.concat(requestsOf(job)));
  const compared = verifies && job.reference?.kind === 'file' ? [job.reference.path] : [];
  const [program, ...args] = withManyFiles([...client.command, ...optionsOf(job), requests, ...compared]);
  const child = spawn(program, args, { signal, stdio: 'pipe' });
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
    /** Asks, and resolves when all is answered. The connections stay. */
    async go() {
      child.stdin.write('\n');
      return resultOf(job, JSON.parse(await nextLine()) as Printed, verifies);
    },
    /** Closes the connections. @throws Error when the server had ended one of them */
    async end() {
      child.stdin.end();
      const code = await exit;
      if (code === closedEarly) throw new Error('the server has ended connections that were to stay');
      if (code !== 0) throw new Error(`the load client ended (${code}): ${complaint}`);
    },
  };
}

/** Connections are accepted by then, and what is left of making them has ended. */
const settleMilliseconds = 10;

/** Called right before a load begins and after it has ended: what connecting costs is no part of it. */
export type Marks = { readonly began: () => void; readonly ended: () => void };

/** Runs one load to its end. @see connectC */
export async function runC(
  client: CClient,
  job: Job,
  signal: AbortSignal,
  verifies = false,
  marks?: Marks,
): Promise<ClientResult> {
  const connected = await connectC(client, job, signal, verifies);
  await delay(settleMilliseconds);
  marks?.began();
  const result = await connected.go();
  marks?.ended();
  // Where there is a fault already, another of how it ended says nothing new.
  await connected.end().catch((error: unknown) => {
    if (result.faultCount === 0) throw error;
  });
  return result;
}

// As client/input.c reads them.
function optionsOf({ origin, socketPath, scenario, seconds, most }: Job): string[] {
  const { connections, kept, rate = 0 } = scenario;
  const perConnection = typeof kept === 'number' ? kept : Number(kept !== undefined);
  const where = socketPath ?? (new URL(origin).port || 80);
  return [where, connections, most, seconds, rate, perConnection, typeof kept === 'number'].map(String);
}

// As client/run.h describes them: eight numbers of 64 bits for each, and then the texts.
function requestsOf(job: Job): Uint8Array[] {
  const asks = asksOf(job.scenario, job.regionBytes, randomFrom(job.seed));
  const count = job.scenario.pattern === 'whole' && job.scenario.regions?.count === undefined ? 1 : builtRequests;
  let offset = count * 8 * BigInt64Array.BYTES_PER_ELEMENT;
  const built = Array.from({ length: count }, (_, at) => {
    const ask = asks();
    const text = headText(job, ask, at);
    const { status, length = -1, bodyBytes = 0, contentRange } = expectedOf(job, ask);
    const first = ask.spans[0]?.[0] ?? 0;
    const own = job.scenario.fields === 'own' ? text.indexOf(ownField) + ownField.length : -1;
    const base = ask.region * job.regionBytes + first;
    const place = contentRange === undefined ? -1 : first;
    const numbers = [offset, text.length, status, length, bodyBytes, place, base, own];
    offset += text.length;
    return { numbers, text };
  });
  const numbers = BigInt64Array.from(built.flatMap((each) => each.numbers.map(BigInt)));
  return [new Uint8Array(numbers.buffer), Buffer.from(built.map(({ text }) => text).join(''), 'latin1')];
}

type Printed = Pick<ClientResult, 'requests' | 'bytes' | 'seconds' | 'cpuSeconds' | 'missed' | 'statuses'> & {
  /** Upper bounds of buckets, and their counts. */
  readonly nanoseconds: readonly (readonly [number, number])[];
  readonly errors: number;
  readonly firstError: string | null;
};

function resultOf({ scenario }: Job, printed: Printed, verifies: boolean): ClientResult {
  const { nanoseconds, errors, firstError, ...counts } = printed;
  const latency = newLatency();
  for (const [bound, count] of nanoseconds) recordLatency(latency, bound / 1000, count);
  return {
    client: 'c',
    method: scenario.method ?? 'GET',
    ...counts,
    aborted: { requests: 0, bytes: 0, askedBytes: 0 },
    checked: verifies ? { bodies: counts.requests, bytes: counts.bytes } : { bodies: 0, bytes: 0 },
    latency: encodeLatency(latency),
    faults: firstError === null ? [] : [faultOf(firstError)],
    faultCount: errors,
  };
}

const kinds: readonly [RegExp, FaultKind][] = [
  [/^status/, 'wrong-status'],
  [/wrong byte/, 'wrong-bytes'],
  [/ended early|did not end|more bytes/, 'short-body'],
  [/Content-Length|another range/, 'wrong-header'],
];

function faultOf(detail: string): Fault {
  return { kind: kinds.find(([words]) => words.test(detail))?.[1] ?? 'no-answer', detail };
}
