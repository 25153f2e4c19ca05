/** Puts peers under load in turn: what disturbs the machine for a while disturbs all of them. @module */
import { setTimeout as delay } from 'node:timers/promises';
import { connectClient, type Load, type LoadResult, runLoad } from '../client/load.ts';
import { cpuSecondsOf } from '../measure/cpu.ts';
import type { RunningPeer } from '../peers/peer.ts';
import { writeSize } from '../report/units.ts';
import type { WriteResult } from '../writer/writing.ts';
import type { Command } from './process.ts';
import { pathOf, regionBytes } from './region-file.ts';

/** What peers are asked for. */
export type Task = {
  readonly size: number;
  readonly connections: number;
  readonly seconds: number;
  /** Requests a second. Default: as many as are answered. */
  readonly rate?: number;
  /** A new connection for each request. */
  readonly fresh?: boolean;
};

/** One peer, one task, one round. */
export type Sample = Pick<Task, 'size' | 'connections' | 'rate'> & {
  readonly peer: string;
  readonly round: number;
  readonly load: LoadResult;
  /** What the server used meanwhile. */
  readonly cpuSeconds: number;
  /** Where something was written meanwhile, and shortly before. */
  readonly writes?: WriteResult;
};

/** What runs loads. */
export type Driver = { readonly client: Command; readonly signal: AbortSignal };

/** Answers, or writes, that were not what was asked for: no figure of this run means anything. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer';
}

/** The first load on a peer finds code that is not compiled yet: it lasts as long as so many samples. */
const firstWarmUpSamples = 4;

/** Of the load before each sample. */
const warmUpSeconds = 0.1;

/** So many bytes of a peer's bodies are compared with the file; but at least one body, and not many small ones. */
const comparedBytes = 2 ** 28;
const comparedBodies = 100;

/** What is left of making connections has ended by then. */
const settleMilliseconds = 10;

/** Has every peer compile what it runs often. */
export async function warmUp(driver: Driver, peers: readonly RunningPeer[], task: Task): Promise<void> {
  for (const peer of peers) {
    peer.writer?.start();
    await load(driver, peer, { ...task, seconds: firstWarmUpSamples * task.seconds }, 1);
    await peer.writer?.end();
  }
}

/**
 * Yields samples as they come: task by task, round by round, peer by peer. Before its first round, a peer's bodies are
 * compared with the file.
 *
 * @throws WrongAnswer; AbortError; Error when a client can't run
 */
export async function* measure(
  driver: Driver,
  peers: readonly RunningPeer[],
  task: Task,
  rounds: number,
): AsyncGenerator<Sample> {
  for (const peer of peers) await verify(driver, peer, task);
  for (let round = 1; round <= rounds; round++) {
    for (const peer of peers) yield await sampleOf(driver, peer, task, round);
  }
}

/** Compares bodies of a peer with the file. Whoever writes to it has not begun. @throws WrongAnswer */
export async function verify(driver: Driver, peer: RunningPeer, task: Task): Promise<void> {
  if (peer.unverifiable !== undefined) return;
  const count = Math.max(1, Math.min(comparedBodies, Math.floor(comparedBytes / task.size)));
  const connections = Math.min(task.connections, Math.ceil(count / 4));
  const { region } = peer.endpoint(task.size);
  const { seconds: _, rate: __, ...ask } = task;
  const compare = { ...loadOf(peer, { ...ask, connections }, 1), count, verify: pathOf(region) };
  judge(peer, task, await runLoad(driver.client, compare, driver.signal));
}

/** Measures one peer once. @throws WrongAnswer; AbortError */
export async function sampleOf(driver: Driver, peer: RunningPeer, task: Task, round: number): Promise<Sample> {
  peer.writer?.start();
  // A whole large region takes longer than a warm-up, and runs nothing often.
  if (task.size <= regionBytes) await load(driver, peer, { ...task, seconds: warmUpSeconds }, round);
  const { load: result, cpuSeconds } = await load(driver, peer, task, round);
  const writes = await peer.writer?.end();
  if (writes && writes.errors > 0)
    throw new WrongAnswer(`${peer.name}: ${writes.errors} writes failed: ${writes.firstError}`);
  const { size, connections, rate } = task;
  const asked = { size, connections, ...(rate !== undefined && { rate }) };
  return { peer: peer.name, ...asked, round, load: result, cpuSeconds, ...(writes && { writes }) };
}

// Making connections and closing them is no part of it, but where a task has each request do so.
async function load(driver: Driver, peer: RunningPeer, task: Task, round: number) {
  const { pid } = peer.endpoint(task.size);
  const client = await connectClient(driver.client, loadOf(peer, task, round), driver.signal);
  await delay(settleMilliseconds);
  const before = cpuSecondsOf(pid);
  const result = await client.go();
  const cpuSeconds = cpuSecondsOf(pid) - before;
  await client.end();
  judge(peer, task, result);
  return { load: result, cpuSeconds };
}

// The round is the seed: within it, every peer is asked for the same ranges.
function loadOf(peer: RunningPeer, task: Omit<Task, 'seconds'>, seed: number): Load {
  const { port, path, region } = peer.endpoint(task.size);
  return { port, path, regionBytes: region.bytes, seed, ...task };
}

function judge({ name }: RunningPeer, { size, connections }: Task, { errors, firstError }: LoadResult): void {
  if (errors === 0) return;
  const where = `ranges of ${writeSize(size)}, ${connections} connections`;
  throw new WrongAnswer(`${name} (${where}): ${errors} responses were wrong, the first: ${firstError}`);
}
