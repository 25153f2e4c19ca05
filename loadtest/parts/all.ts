/** The parts that a run was asked for, one after the other. @module */
import type { Part } from '../options.ts';
import type { Missing } from '../peers/all.ts';
import { allPeers, baseline, rival } from '../peers/all.ts';
import type { RunningPeer } from '../peers/peer.ts';
import { timed } from '../report/progress.ts';
import type { Results } from '../report/results.ts';
import { waitSeconds } from '../writer/writing.ts';
import type { BenchRun } from './bench-run.ts';
import { measureConnections } from './connections.ts';
import { type CoresPart, measureCores, pinsForTwo } from './cores.ts';
import { duelOf, type Field, startField, tellMissing } from './field.ts';
import { measureFresh } from './fresh.ts';
import { measureIdle } from './idle.ts';
import { measureNode } from './node.ts';
import { measureRate } from './rate.ts';
import { measureServers } from './servers.ts';
import { measureWriting, steady } from './writing.ts';

/** What was measured, of whom, and what was not. */
export type Measured = {
  readonly results: Results;
  readonly peers: readonly { readonly name: string; readonly about: string }[];
  readonly missing: readonly Missing[];
};

/** Measures what the options ask for. @throws WrongAnswer; AbortError */
export async function measureAll(run: BenchRun): Promise<Measured> {
  const asked = (part: Part) => run.options.parts.includes(part);
  const field = await measureField(run);
  const node = asked('node') ? await timed('node', () => measureNode(run)) : undefined;
  const idle = asked('idle') ? await timed('idle', () => measureIdle(run)) : undefined;
  const writing = asked('writing') ? await timed('writing', () => measureWriting(run)) : undefined;
  return {
    results: { ...field?.results, node, idle, writing: writing && { ...steady, waitSeconds, tables: writing.tables } },
    peers: [...(field?.peers ?? []), ...(writing?.services ?? [])],
    missing: field?.missing ?? [],
  };
}

const duels = ['connections', 'rate', 'fresh', 'cores'] as const satisfies readonly Part[];

async function measureField(run: BenchRun): Promise<Measured | undefined> {
  const asked = (part: Part) => run.options.parts.includes(part);
  const wantsDuel = duels.some(asked);
  if (!asked('servers') && !wantsDuel) return undefined;
  const field = await timed('starting', () => startField(withRival(run, asked('servers'), wantsDuel)));
  const servers = asked('servers') ? await timed('servers', () => measureServers(run, field)) : undefined;
  const duel = await measureDuels(run, field);
  return {
    results: { servers, ...duel.results },
    peers: [...field.running.map(({ server }) => server), ...duel.peers],
    missing: [...field.missing, ...duel.missing],
  };
}

// A duel needs two, whoever else was asked for; where there are only duels, nobody else.
function withRival(run: BenchRun, servers: boolean, duel: boolean): BenchRun {
  const needed = new Set([...(servers ? run.options.peers : []), ...(duel ? [wordOf(baseline), wordOf(rival)] : [])]);
  const peers = [...allPeers.keys()].filter((word) => needed.has(word));
  return { ...run, options: { ...run.options, peers } };
}

function wordOf(wanted: typeof baseline): string {
  return [...allPeers].find(([, peer]) => peer === wanted)?.[0] ?? '';
}

async function measureDuels(run: BenchRun, field: Field): Promise<Measured> {
  const asked = duels.filter((part) => run.options.parts.includes(part));
  if (asked.length === 0) return { results: {}, peers: [], missing: [] };
  const duel = duelOf(field);
  if (!duel) {
    const why = `${rival.name} does not run here`;
    return { results: {}, peers: [], missing: asked.map((part) => tellMissing(`the part "${part}"`, why)) };
  }
  const connections = asked.includes('connections')
    ? await timed('connections', () => measureConnections(run, duel))
    : undefined;
  const rate = asked.includes('rate') ? await timed('rate', () => measureRate(run, duel)) : undefined;
  const fresh = asked.includes('fresh') ? await timed('fresh', () => measureFresh(run, duel)) : undefined;
  const { cores, missing } = asked.includes('cores') ? await timed('cores', () => coresOf(run, field, duel)) : noCores;
  return { results: { connections, rate, fresh, cores }, peers: cores?.services ?? [], missing };
}

type Cores = { readonly cores: CoresPart | undefined; readonly missing: readonly Missing[] };

const noCores: Cores = { cores: undefined, missing: [] };

async function coresOf(run: BenchRun, field: Field, duel: readonly [RunningPeer, RunningPeer]): Promise<Cores> {
  const pins = pinsForTwo();
  if (pins) return { cores: await measureCores(run, field, duel, pins), missing: [] };
  return { cores: undefined, missing: [tellMissing('the part "cores"', 'there are fewer than two processors')] };
}
