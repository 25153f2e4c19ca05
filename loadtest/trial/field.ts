/** Starts everything that a run puts under load on this machine. @module */
import { type Pins, pinned } from '../measure/pin.ts';
import { allPeers, baseline, type Missing, peersHere } from '../peers/all.ts';
import { startWritable } from '../peers/pagerelay.ts';
import type { Peer, RunningPeer } from '../peers/peer.ts';
import type { Command } from '../run/process.ts';
import { oneRegion, pathOf, regionBytes } from '../run/region-file.ts';
import type { RunScope } from '../run-scope.ts';
import { Scraper } from '../scrape/scraper.ts';
import { startWriter } from '../writer/writer.ts';
import { blockBytes, writeBuiltIn, writeStamped } from './built-in.ts';
import type { Contender } from './contender.ts';

/** Words that `--peers` takes: all but what reads no request. */
export const peerWords: readonly string[] = [...allPeers.keys()].filter((word) => word !== 'raw');

/** Those that run unless others are picked. */
export const usualPeers: readonly string[] = ['pagerelay', 'nginx', 'static', 'stream', 'copy', 'no-express'];

/** The name of the service under test. */
export const baselineName = baseline.name;

/** Who runs, and who can't. */
export type Field = {
  readonly contenders: readonly Contender[];
  /** Beside a writer. */
  readonly written: Contender | undefined;
  readonly missing: readonly Missing[];
};

/** What starting them takes. */
export type FieldContext = {
  readonly scope: RunScope;
  readonly pins: Pins | undefined;
  /** In memory. */
  readonly memoryFolder: string;
  readonly folder: string;
  readonly clock: () => number;
};

/** Starts them all at once: each on the one processor for servers. */
export async function startField(
  context: FieldContext,
  words: readonly string[],
  writes: number | undefined,
): Promise<Field> {
  const { scope, pins, memoryFolder, folder } = context;
  const regions = writeBuiltIn(scope.folder(memoryFolder));
  const pin = (command: Command) => pinned(pins?.server, command);
  const peerContext = { scope, regions, sizes: [], folder, pin };
  const { here, missing } = peersHere(peerWords.filter((word) => words.includes(word)));
  const starting = here.map(async (peer) => contenderOf(context, peer, await peer.start(peerContext)));
  const [written, ...contenders] = await Promise.all([
    writes === undefined ? undefined : startWritten(context, pin, writes),
    ...starting,
  ]);
  return { contenders: contenders.filter((each) => each !== undefined), written, missing };
}

function contenderOf(context: FieldContext, peer: Peer, server: RunningPeer): Contender {
  const at = addressOf(server);
  return {
    name: peer.name,
    ...at,
    reference: { kind: 'file', path: pathOf(server.endpoint(0).region) },
    scraper: peer.name.startsWith(baseline.name) ? scraperOf(context, at.origin) : undefined,
    writer: undefined,
  };
}

function addressOf({ about, endpoint }: RunningPeer) {
  const { pid, port, path, region } = endpoint(0);
  return { about, origin: `http://127.0.0.1:${port}`, path, regionBytes: region.bytes, pid, headers: {} };
}

async function startWritten(context: FieldContext, pin: (command: Command) => Command, rate: number) {
  const { scope, pins, memoryFolder, folder } = context;
  const region = writeStamped(scope.folder(memoryFolder));
  const regions = oneRegion(region);
  const server = await startWritable({ scope, regions, sizes: [], folder, pin });
  const at = addressOf(server);
  const { port, path } = server.endpoint(0);
  const asked = { port, path, size: blockBytes, regionBytes, rate, isStamped: true };
  const contender: Contender = {
    name: `${baseline.name} --writable`,
    ...at,
    reference: { kind: 'stamped', blockBytes },
    scraper: scraperOf(context, at.origin),
    writer: startWriter(scope, (command) => pinned(pins?.client, command), asked),
  };
  return contender;
}

function scraperOf({ scope, clock }: FieldContext, origin: string): Scraper {
  const scraper = new Scraper(origin, {}, clock);
  const end = () => scraper.end();
  scope.onEnd(end, () => {});
  return scraper;
}
