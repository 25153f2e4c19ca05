/** What Node does for a request that no lane answers, one step more in each. @module */
import { fileURLToPath } from 'node:url';
import { startServer } from '../run/process.ts';
import { pathOf } from '../run/region-file.ts';
import { pagerelayNoExpress, variant } from './pagerelay.ts';
import type { Peer } from './peer.ts';

const program = fileURLToPath(new URL('servers/steps.ts', import.meta.url));

/** A server, and what it does more than the one that it is compared with. */
export type Step = { readonly peer: Peer; readonly adds: string; readonly over?: Peer };

const few = step('few', 'node:http');
const all = step('all', 'node:http, eight fields');
const watched = step('watched', 'node:http, heads watched');
const routed = step('routed', 'Fastify');
const hijacked = step('hijacked', 'Fastify, hijacked');
const copied = variant('--no-express', '--engine', 'copy');

/** From the least to all of it. */
export const steps: readonly Step[] = [
  { peer: few, adds: 'parsing, a head of two fields, 4 KiB from memory in the same write' },
  { peer: all, over: few, adds: 'six more fields in the head' },
  { peer: watched, over: all, adds: "every byte seen by a 'data' listener first, as express needs it" },
  { peer: routed, over: all, adds: 'router, request and reply, a route without a schema' },
  { peer: hijacked, over: routed, adds: 'the reply hijacked: head and body go to the response directly' },
  { peer: copied, over: hijacked, adds: 'which region and version, preconditions, hold, sent by the shim as a copy' },
  { peer: pagerelayNoExpress, over: copied, adds: 'a reference until it is done, sent without a copy' },
];

function step(word: string, name: string): Peer {
  return {
    name,
    missing: () => undefined,
    async start({ scope, regions, pin }) {
      const region = regions.at(0);
      const server = await startServer(scope, pin([process.execPath, program, word, pathOf(region)]));
      const about = `Node ${process.version}, the file in memory`;
      return { name, about, endpoint: () => ({ ...server, path: '/', region }) };
    },
  };
}
