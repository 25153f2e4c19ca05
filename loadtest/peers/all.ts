import { fastifyStatic } from './fastify-static.ts';
import { nginx, nginxOpenFileCache } from './nginx.ts';
import { nodeStream } from './node-stream.ts';
import { pagerelay, pagerelayCopy, pagerelayCopyBelow, pagerelayNoExpress } from './pagerelay.ts';
import type { Peer } from './peer.ts';
import { rawSendfile } from './raw-sendfile.ts';

/** What every other peer is compared with. */
export const baseline: Peer = pagerelay;

/** What it is to be faster than. */
export const rival: Peer = nginxOpenFileCache;

/** What no server can go below. */
export const floor: Peer = rawSendfile;

/** Every peer by the word that picks it on a command line, in the order in which they take turns. */
export const allPeers: ReadonlyMap<string, Peer> = new Map([
  ['pagerelay', baseline],
  ['nginx-cache', rival],
  ['copy', pagerelayCopy],
  ['no-express', pagerelayNoExpress],
  ['copy-below', pagerelayCopyBelow],
  ['static', fastifyStatic],
  ['raw', floor],
  ['nginx', nginx],
  ['stream', nodeStream],
]);

/** Those that run unless others are picked: what nginx and Node do otherwise is left out, for time. */
export const usualPeers: readonly string[] = [...allPeers.keys()].slice(0, -2);

/** Something that is not measured. */
export type Missing = { readonly name: string; readonly why: string };

/** Those of the peers that run here, in their order, and why the others do not. */
export function peersHere(words: readonly string[]): { readonly here: readonly Peer[]; readonly missing: Missing[] } {
  const here: Peer[] = [];
  const missing: Missing[] = [];
  for (const peer of words.flatMap((word) => allPeers.get(word) ?? [])) {
    const why = peer.missing();
    if (why === undefined) here.push(peer);
    else missing.push({ name: peer.name, why });
  }
  return { here, missing };
}
