import { nginx, nginxCached } from './nginx.ts';
import { fastifyStatic, h2o, lighttpd, nodeStream, rawSendfile } from './others.ts';
import { pagerelay, pagerelayCopy, pagerelayCopyBelow, pagerelayNoExpress } from './pagerelay.ts';
import type { Server } from './server.ts';

/** What every other server is compared with. */
export const baseline: Server = pagerelay;

/** What it is to be faster than. */
export const rival: Server = nginxCached;

/** Every server, in the order in which they take turns. */
export const allServers: readonly Server[] = [
  ...[baseline, rival, nginx, lighttpd, h2o, fastifyStatic, nodeStream, rawSendfile],
  ...[pagerelayCopy, pagerelayNoExpress, pagerelayCopyBelow],
];

/** What `--servers` takes. */
export const serverWords: readonly string[] = allServers.map(({ word }) => word);

/** Something that is not measured. */
export type Missing = { readonly name: string; readonly why: string };

/**
 * Those of the words that run here, in their order, and why the others do not. The service under test always runs.
 *
 * @param given others, of the command line
 */
export function serversHere(words: readonly string[], given: readonly Server[]) {
  const known = allServers.filter((server) => server === baseline || words.includes(server.word));
  const asked = [...known, ...given];
  const judged = asked.map((server) => ({ server, name: server.name, why: server.missing() }));
  return {
    here: judged.flatMap(({ server, why }) => (why === undefined ? [server] : [])),
    missing: judged.flatMap(({ name, why }): Missing[] => (why === undefined ? [] : [{ name, why }])),
  };
}
