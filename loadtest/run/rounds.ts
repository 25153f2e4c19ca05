/** Puts peers under load in turn: what disturbs the machine for a while disturbs all of them. @module */
import { type LoadResult, runLoad } from '../client/load.ts';
import { cpuSecondsOf } from '../measure/cpu.ts';
import type { RunningPeer } from '../peers/peer.ts';
import type { WriteResult } from '../writer/writing.ts';
import type { Command } from './process.ts';

/** One peer, one size, one round. */
export type Sample = {
  readonly peer: string;
  readonly size: number;
  readonly round: number;
  readonly load: LoadResult;
  /** What the server used meanwhile. */
  readonly cpuSeconds: number;
  /** Where something was written meanwhile, and shortly before. */
  readonly writes?: WriteResult;
};

/** How to measure. */
export type Rounds = {
  readonly peers: readonly RunningPeer[];
  readonly sizes: readonly number[];
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly regionBytes: number;
  readonly client: Command;
  readonly signal: AbortSignal;
};

/** Of the first load on a peer, which finds code that is not compiled yet; and of those before each sample. */
const firstWarmUpSeconds = 3;
const warmUpSeconds = 0.2;

/** Yields samples as they come. @throws AbortError; Error when a client can't run */
export async function* measure(plan: Rounds): AsyncGenerator<Sample> {
  const [firstSize = 4096] = plan.sizes;
  for (const peer of plan.peers) {
    peer.writer?.start();
    await load(plan, peer, firstSize, firstWarmUpSeconds, 1);
    await peer.writer?.end();
  }
  for (const size of plan.sizes) {
    for (let round = 1; round <= plan.rounds; round++) {
      for (const peer of plan.peers) yield await sample(plan, peer, size, round);
    }
  }
}

async function sample(plan: Rounds, peer: RunningPeer, size: number, round: number): Promise<Sample> {
  peer.writer?.start();
  await load(plan, peer, size, warmUpSeconds, round);
  const { pid } = peer.endpoint(size);
  const before = cpuSecondsOf(pid);
  const result = await load(plan, peer, size, plan.seconds, round);
  const cpuSeconds = cpuSecondsOf(pid) - before;
  const writes = await peer.writer?.end();
  return { peer: peer.name, size, round, load: result, cpuSeconds, ...(writes && { writes }) };
}

// The round is the seed: within it, every peer is asked for the same ranges.
function load(plan: Rounds, peer: RunningPeer, size: number, seconds: number, seed: number): Promise<LoadResult> {
  const { port, path } = peer.endpoint(size);
  const { connections, regionBytes } = plan;
  return runLoad(plan.client, { port, path, connections, size, regionBytes, seconds, seed }, plan.signal);
}
