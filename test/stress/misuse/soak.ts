/**
 * Misuse beside readers that behave: `npm run soak -- [MINUTES]`, 10 by default. A service whose standard output nobody
 * reads serves 4 KiB ranges, a minute by themselves, then beside all of `clients.ts`. Prints latencies, memory and
 * descriptors of each phase, and what is left a while after. It exits with 1 when the readers' p99 has more than doubled,
 * when requests of theirs have failed or waited beyond the phase, and when something does not come back.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { writeRegion } from '../../support/regions.ts';
import { misuses } from './clients.ts';

type Phase = { readonly name: string; readonly seconds: number };
type Figures = { requests: number; failed: number; p50: number; p99: number; most: number };
type Process = { readonly memory: number; readonly descriptors: number };

const minutes = Number(process.argv[2] ?? 10);
const quiet: Phase = { name: 'quiet', seconds: 60 };
const misused: Phase = { name: 'misused', seconds: minutes * 60 };
const mebibyte = 1 << 20;
const size = 16 * mebibyte;
const settleSeconds = 90;
/** V8 gives back what its heap has grown by, some at a time, while there is little to do. */
const memorySeconds = 180;
const gauges = ['pagerelay_references', 'pagerelay_held_bytes', 'pagerelay_quarantined_bytes'];
const fileOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));

const dir = mkdtempSync('/dev/shm/pagerelay-misuse-');
const children: ChildProcess[] = [];
try {
  process.exitCode = (await soak()) ? 0 : 1;
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(dir, { recursive: true });
}

async function soak(): Promise<boolean> {
  const { name: small } = writeRegion(dir, 'small.bin', size, 7);
  makeSparse(`${dir}/sparse.bin`, 100 * 2 ** 30);
  const { pid, origin, exited } = await serve();
  let lines = readers(origin, small);
  await lines.phase(5);
  const atFirst = processOf(pid);
  const before = figuresOf(await lines.phase(quiet.seconds));
  tell(quiet.name, before, processOf(pid));

  const ending = new AbortController();
  const port = Number(new URL(origin).port);
  const all = Object.values(misuses).map((misuse) => misuse({ port, sparse: 'sparse.bin', small }, ending.signal));
  const seen: Process[] = [];
  const sampling = setInterval(() => seen.push(processOf(pid)), 1000);
  const during = figuresOf(await lines.phase(misused.seconds));
  clearInterval(sampling);
  ending.abort();
  await Promise.all(all);
  const most = { memory: maximum(seen, 'memory'), descriptors: maximum(seen, 'descriptors') };
  tell(misused.name, during, most);

  // Who goes on reading holds pages at any moment.
  await lines.end();
  const left = await settled(origin, pid, atFirst);
  lines = readers(origin, small);
  const isBack = () => processOf(pid).memory <= atFirst.memory + 128 * mebibyte;
  for (let seconds = 0; seconds <= memorySeconds; seconds += 10) {
    tell(`after ${seconds + 10} s`, figuresOf(await lines.phase(10)), processOf(pid));
    if (isBack()) break;
  }
  if (!isBack()) left.push(`${inMebibytes(processOf(pid).memory)} resident`);
  await lines.end();
  for (const what of left) console.log(`not back: ${what}`);
  process.kill(pid, 'SIGTERM');
  const ended = await Promise.race([exited, delay(40_000, 'still there 40 s after SIGTERM', { ref: false })]);
  console.log(`p99 beside misuse: ${(during.p99 / before.p99).toFixed(2)} times the quiet one; ended: ${ended}`);
  const isServed = during.failed === 0 && during.requests > 0.95 * (before.requests / quiet.seconds) * misused.seconds;
  return left.length === 0 && isServed && during.p99 <= 2 * before.p99 && ended === '0';
}

function makeSparse(path: string, bytes: number): void {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, bytes);
  closeSync(fd);
}

/** Nobody reads what it logs. */
async function serve() {
  const args = ['serve', '--port', '0', '--dir', dir, '--writable', '--max-hold', '20', '--max-digest-bytes', '1TiB'];
  const child = spawn(process.execPath, [fileOf('../../../src/cli.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const exited = new Promise<string>((resolve) => child.once('exit', (code, signal) => resolve(`${code ?? signal}`)));
  for await (const line of createInterface(child.stderr)) {
    const origin = /pagerelay listens on (http:\S+)/.exec(line)?.[1];
    if (origin === undefined) continue;
    child.stderr.resume();
    return { pid: child.pid ?? 0, origin, exited };
  }
  throw new Error('the service did not start');
}

function readers(origin: string, name: string) {
  const child = spawn(process.execPath, [fileOf('readers.ts'), origin, name, `${size}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    async phase(seconds: number): Promise<string[]> {
      const texts: string[] = [];
      while (texts.length < seconds) texts.push((await lines.next()).value ?? '{}');
      return texts;
    },
    async end(): Promise<void> {
      const ended = once(child, 'exit');
      child.stdin.end();
      child.stdout.resume();
      await ended;
    },
  };
}

function figuresOf(lines: readonly string[]): Figures {
  const seconds = lines.map((line) => JSON.parse(line) as { latencies: number[]; failed: number });
  const latencies = seconds.flatMap((second) => second.latencies).sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.max(0, Math.ceil(share * latencies.length) - 1)] ?? Number.NaN;
  const failed = seconds.reduce((sum, second) => sum + second.failed, 0);
  return { requests: latencies.length, failed, p50: at(0.5), p99: at(0.99), most: at(1) };
}

function processOf(pid: number): Process {
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { memory: Number(resident) * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

function maximum(seen: readonly Process[], key: keyof Process): number {
  return seen.reduce((most, each) => Math.max(most, each[key]), 0);
}

/** Waits until no page is held and all descriptors are closed; gives what is not. */
async function settled(origin: string, pid: number, atFirst: Process): Promise<string[]> {
  let left: string[] = [];
  for (let second = 0; second < settleSeconds; second++) {
    const text = await (await fetch(`${origin}/metrics`)).text();
    const now = processOf(pid);
    left = gauges.flatMap((name) => (gaugeOf(text, name) > 0 ? [`${name} ${gaugeOf(text, name)}`] : []));
    if (now.descriptors > atFirst.descriptors) left.push(`${now.descriptors} of ${atFirst.descriptors} descriptors`);
    if (left.length === 0) return [];
    await delay(1000);
  }
  return left;
}

function gaugeOf(text: string, name: string): number {
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
}

function tell(name: string, { requests, failed, p50, p99, most }: Figures, { memory, descriptors }: Process): void {
  const latency = `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, longest ${most.toFixed(0)} ms`;
  const used = `${inMebibytes(memory)} resident, ${descriptors} descriptors`;
  console.log(`${name.padEnd(11)} ${requests} requests, ${failed} failed, ${latency}; at most ${used}`);
}

function inMebibytes(bytes: number): string {
  return `${(bytes / mebibyte).toFixed(0)} MiB`;
}
