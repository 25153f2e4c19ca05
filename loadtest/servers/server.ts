/** What is put under load: servers of the same regions. @module */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, freePort, startServer } from '../run/process.ts';
import type { RunScope } from '../run/run-scope.ts';
import type { Tree } from '../run/tree.ts';

/** How a server is set up for a scenario: scenarios of the same setup share one. */
export type Setup = {
  readonly log: boolean;
  readonly tokens: readonly string[];
  readonly socket: 'tcp' | 'unix';
  readonly processors: number;
  readonly writable: boolean;
  /** Of ranges: for a server that reads no request. */
  readonly size: number;
  /** Where Node runs it, it collects its garbage when it gets `collectSignal`. */
  readonly collects?: boolean;
};

/** A signal that nothing else means anything by. */
export const collectSignal = 'SIGWINCH';

/** Node, with flags for a setup. */
export function nodeFor({ collects }: Setup): [string, ...string[]] {
  const handler = `data:text/javascript,process.on('${collectSignal}',()=>gc({flavor:'last-resort'}))`;
  return [process.execPath, ...(collects ? ['--expose-gc', '--import', handler] : [])];
}

/** What its command is made of. */
export type Place = Setup & {
  /** The regions. */
  readonly tree: Tree;
  readonly port: number;
  readonly socketPath: string | undefined;
  /** For all that it writes: it is its own. */
  readonly folder: string;
  /** Where an access log goes. */
  readonly logFile: string;
};

/** A server that can be started. */
export type Server = {
  /** What picks it on the command line. */
  readonly word: string;
  readonly name: string;
  /** What it can't do, in the words of model/scenario.ts (`needsOf`). */
  readonly lacks: readonly string[];
  /** The largest range that it differs from other servers at. */
  readonly largest?: number;
  /** Has our metrics. */
  readonly isOurs?: boolean;
  /** Of the command line: it takes part wherever it can. Its regions are at `/regions/NAME`, or where `path` says. */
  readonly isGiven?: boolean;
  /** Answers without reading: its bodies can't be compared. */
  readonly isBlind?: boolean;
  /** Node runs it, and can be made to collect its garbage. */
  readonly isNode?: boolean;
  /** Of a region. */
  readonly path: (name: string) => string;
  /** Why it can't run here; undefined when it can. */
  readonly missing: () => string | undefined;
  /** What it is, with its version and whatever decides its speed: one phrase. */
  readonly about: (setup: Setup) => string;
  /** Writes what it needs to be told, and says how to start it. */
  readonly command: (place: Place) => Command | Promise<Command>;
};

/** Starts one, and says where it answers; it ends with the scope. `pin` puts it to its processors. */
export async function start(
  scope: RunScope,
  server: Server,
  setup: Setup,
  tree: Tree,
  pin: (command: Command) => Command,
) {
  const folder = scope.folder(tree.folder.replace(/\/[^/]+$/, ''));
  const port = await freePort();
  const socketPath = setup.socket === 'unix' ? join(folder, 'socket') : undefined;
  mkdirSync(join(folder, 'logs'));
  const place = { ...setup, tree, port, socketPath, folder, logFile: join(folder, 'logs', 'access') };
  const command = pin(await server.command(place));
  const pid = await startServer(scope, command, { port, socketPath }, join(folder, 'logs', 'output'));
  return { pid, port, socketPath };
}
