/** Starts everything that a run puts under load on this machine. @module */
import { join } from 'node:path';
import { type Pins, pinned } from '../measure/pin.ts';
import { allPeers, baseline } from '../peers/all.ts';
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
  readonly missing: readonly { readonly name: string; readonly why: string }[];
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
  const asked = peerWords.filter((word) => words.includes(word)).flatMap((word) => allPeers.get(word) ?? []);
  const missing = asked.flatMap((peer) => whyMissing(peer));
  const here = asked.filter(({ name }) => !missing.some((each) => each.name === name));
  const starting = here.map(async (peer) => contenderOf(context, peer, await peer.start(peerContext)));
  const [written, ...contenders] = await Promise.all([
    writes === undefined ? undefined : startWritten(context, pin, writes),
    ...starting,
  ]);
  return { contenders: contenders.filter((each) => each !== undefined), written, missing };
}

function whyMissing(peer: Peer): { name: string; why: string }[] {
  const why = peer.missing();
  return why === undefined ? [] : [{ name: peer.name, why }];
}

function contenderOf(context: FieldContext, peer: Peer, { about, endpoint }: RunningPeer): Contender {
  const { pid, port, path, region } = endpoint(0);
  const origin = `http://127.0.0.1:${port}`;
  return {
    name: peer.name,
    about,
    origin,
    path,
    regionBytes: region.bytes,
    pid,
    headers: {},
    reference: { kind: 'file', path: pathOf(region) },
    scraper: peer.name.startsWith(baseline.name) ? scraperOf(context, origin) : undefined,
    writer: undefined,
  };
}

async function startWritten(context: FieldContext, pin: (command: Command) => Command, rate: number) {
  const { scope, pins, memoryFolder, folder } = context;
  const region = writeStamped(scope.folder(memoryFolder));
  const regions = oneRegion(region);
  const { about, endpoint } = await startWritable({ scope, regions, sizes: [], folder: join(folder), pin });
  const { pid, port, path } = endpoint(0);
  const origin = `http://127.0.0.1:${port}`;
  const asked = { port, path, size: blockBytes, regionBytes, rate, isStamped: true };
  const contender: Contender = {
    name: `${baseline.name} --writable`,
    about,
    origin,
    path,
    regionBytes: region.bytes,
    pid,
    headers: {},
    reference: { kind: 'stamped', blockBytes },
    scraper: scraperOf(context, origin),
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
