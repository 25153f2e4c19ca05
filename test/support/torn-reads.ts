/**
 * 40 readers and 8 in-place writers on one region. In the mix: clients of MPTCP; another process that makes huge pages of
 * half the file, on tmpfs; a file a quarter of which is a hole at first; and beside it another file, which is replaced by
 * ones of the same size and mtime.
 *
 * @module
 */
import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../../src/relay/relay.ts';
import { amount } from './amount.ts';
import { untilNothingHeld } from './client-tools.ts';
import { type SwapResult, swapWhileRead } from './equal-tags.ts';
import { collapseOnAndOn } from './large-folios.ts';
import { patience } from './limits.ts';
import { mountLoop } from './mounts.ts';
import { whyNoMptcp } from './mptcp.ts';
import { start } from './process.ts';
import { makeFolder } from './regions.ts';
import { describePages, pageSize } from './self-describing.ts';
import { startService } from './service.ts';
import { type Fault, findFaults, type Seen, withHoles } from './snapshots.ts';
import { type Pretence, pretend } from './testing-shim.ts';
import type { TornReadPlay, TornReadResult } from './torn-read-clients.ts';

export const seconds = amount(0.5, 10, 'SOAK_SECONDS');
const pages = 4096;
const breakHolds = 0.5;
const writers = 8;
const readers = { quick: 18, scattered: 2, whole: 2, stalling: 6, sleeping: 2 };
const narrowReaders = 4;
const firstHole = (pages * 3) / 4;
const noMptcp = whyNoMptcp();
const noXfs = process.getuid?.() !== 0 && !process.env.CI && 'xfs is mounted by root alone';
export const optionsOn = (place: (typeof places)[number]) => ({ skip: place === 'xfs' && noXfs });
const mptcpReaders = noMptcp === undefined ? 6 : 0;
export const places = ['tmpfs', 'ext4', 'xfs'] as const;

const clients = fileURLToPath(new URL('./torn-read-clients.ts', import.meta.url));
const narrowClients = fileURLToPath(new URL('./narrow-readers.py', import.meta.url));

type Wrong = Pick<Pretence, 'releaseWhenAccepted' | 'meansWork' | 'overwritesPages' | 'keepNothing'>;
export type Configuration = {
  readonly engine: Engine;
  readonly place: (typeof places)[number];
  readonly wrong?: Wrong;
};
/** `keeps`: how often a reader went on with bytes that were kept for it. */
export type Soaked = TornReadResult & { readonly swapped: SwapResult; readonly keeps: number };
type Narrow = (Seen & { readonly short: boolean }) | { readonly refused: string | null };

async function run(t: TestContext, program: string, args: readonly string[]): Promise<string> {
  const child = start(t, program, args);
  assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
  return child.stdout().trim();
}

async function readNarrowly(t: TestContext, play: object): Promise<Narrow[]> {
  const printed = await run(t, 'python3', [
    '-I',
    narrowClients,
    JSON.stringify({ ...play, readers: narrowReaders, mptcp: mptcpReaders }),
  ]);
  return printed.split('\n').map((line) => JSON.parse(line) as Narrow);
}

function mountXfs(t: TestContext): string {
  const mounted = mountLoop(t, 'xfs');
  return 'folder' in mounted ? mounted.folder : assert.fail(mounted.missing);
}

/** Plays all clients for so many seconds, and gathers what they saw. */
async function soak(t: TestContext, { place, engine, wrong = {} }: Configuration, forSeconds: number): Promise<Soaked> {
  const dir = place === 'xfs' ? mountXfs(t) : makeFolder(t, place);
  const file = join(dir, 'pages.bin');
  writeFileSync(file, describePages(0, firstHole, 0, 0));
  truncateSync(file, pages * pageSize);
  pretend(t, wrong);
  const running = await startService(t, { engine, dir, writable: true, breakHolds, lanes: 2 });
  const seed = Date.now() % 100_000;
  t.diagnostic(`seed ${seed}`);
  const shared = { port: running.port, path: '/regions/pages.bin', pages, seed, milliseconds: forSeconds * 1000 };
  const play: TornReadPlay = { ...shared, writers, readers };
  const collapsing = place === 'tmpfs' ? collapseOnAndOn(t, file) : undefined;
  const [printed, narrow, swapped] = await Promise.all([
    run(t, process.execPath, [clients, JSON.stringify(play)]),
    readNarrowly(t, shared),
    swapWhileRead(t, { port: running.port, dir }, 'swapped.bin', forSeconds * 1000),
  ]);
  if (collapsing) t.diagnostic(`huge pages of it were made, or there already: ${await collapsing.end()}`);
  if (noMptcp !== undefined) t.diagnostic(`SKIP clients of MPTCP: ${noMptcp}`);
  await untilNothingHeld(running);
  const result = gather(JSON.parse(printed) as TornReadResult, narrow);
  const { keeps } = running.service.relay.counters();
  return { ...result, seen: withHoles(result.seen, firstHole), swapped, keeps };
}

function gather(result: TornReadResult, narrow: readonly Narrow[]): TornReadResult {
  for (const each of narrow) {
    if ('refused' in each) {
      result.refusals.push(`narrow: ${each.refused}`);
      continue;
    }
    result.seen.push(each);
    if (each.short) result.short[each.reader] = (result.short[each.reader] ?? 0) + 1;
  }
  return result;
}

export function summaryOf({ writes, seen, short, refusals, keeps }: Soaked): string {
  const shown = seen.flatMap(({ extents }) => extents.map(({ stamps }) => stamps.length));
  const pagesSeen = shown.reduce((sum, count) => sum + count, 0);
  const counts = `${writes.length} writes, ${seen.length} responses of ${pagesSeen} pages, ${keeps} went on with what was kept`;
  return `${counts}, short ${JSON.stringify(short)}, refused ${JSON.stringify(countEach(refusals))}`;
}

function countEach(texts: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1;
  return counts;
}

export function rulesOf(faults: readonly Fault[]): Record<string, number> {
  return countEach(faults.map(({ rule }) => rule));
}

/** What came through in a while, of what the claims are about; on a busy machine that can be too little. */
export function missingIn({ writes, seen, short, swapped, keeps }: Soaked): string[] {
  const kinds = ['quick', 'scattered', 'whole', 'stalling', 'narrow', ...(mptcpReaders > 0 ? ['mptcp'] : [])];
  const silent = kinds.filter((kind) => seen.every(({ reader }) => reader !== kind));
  const written = writes.filter(({ done, refused }) => done !== undefined && !refused).length;
  return [
    ...silent.map((kind) => `answers to ${kind} readers`),
    ...(written >= writers ? [] : [`writes: ${written}`]),
    ...((short.sleeping ?? 0) + keeps > 0 ? [] : ['a sleeping reader that was broken off, or had bytes kept']),
    ...(swapped.swaps > 2 && swapped.responses > 2 ? [] : ['files that were exchanged and read']),
  ];
}

export function checkWhole(t: TestContext, result: Soaked): void {
  t.diagnostic(summaryOf(result));
  const { swapped, seen, short, refusals } = result;
  t.diagnostic(`${swapped.swaps} equal files in turn, ${swapped.responses} responses, ${swapped.faults.length} faults`);
  const faults = findFaults(result);
  assert.deepEqual(faults.slice(0, 5), [], `${faults.length} faults: ${JSON.stringify(rulesOf(faults))}`);
  assert.deepEqual(swapped.faults.slice(0, 5), [], `${swapped.faults.length} faults: a tag of two contents`);
  const quick = seen.filter(({ reader }) => reader === 'quick').length;
  assert.ok((short.quick ?? 0) < quick / 2, 'most of those who read were not broken off');
  // A writer may have been told to come again: a page can be quarantined.
  assert.deepEqual(
    refusals.filter((refusal) => !refusal.startsWith('writer: 409 ')),
    [],
  );
}

/** Plays again and again until it was enough. */
export async function soakUntil(
  t: TestContext,
  configuration: Configuration,
  forSeconds: number,
  missing: (result: Soaked) => string[],
): Promise<void> {
  for (const deadline = performance.now() + patience; ; ) {
    const lacking = missing(await soak(t, configuration, forSeconds));
    if (lacking.length === 0) return;
    assert.ok(performance.now() < deadline, `there were never ${lacking.join(', ')}`);
    t.diagnostic(`again, for there were no ${lacking.join(', ')}`);
  }
}
