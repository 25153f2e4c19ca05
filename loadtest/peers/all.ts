import { fastifyStatic } from './fastify-static.ts';
import { nginx, nginxOpenFileCache } from './nginx.ts';
import { nodeStream } from './node-stream.ts';
import { pagerelay, pagerelayCopy } from './pagerelay.ts';
import type { Peer } from './peer.ts';
import { rawSendfile } from './raw-sendfile.ts';

/** What every other peer is compared with. */
export const baseline: Peer = pagerelay;

/** Every peer by the word that picks it on a command line, in the order in which they take turns. */
export const allPeers: ReadonlyMap<string, Peer> = new Map([
  ['pagerelay', pagerelay],
  ['copy', pagerelayCopy],
  ['static', fastifyStatic],
  ['stream', nodeStream],
  ['nginx', nginx],
  ['nginx-cache', nginxOpenFileCache],
  ['raw', rawSendfile],
]);
