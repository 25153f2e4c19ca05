/** Starts the servers of this run when a scenario needs them, and ends them when no other does. @module */

import { request } from 'undici';
import { startWriter } from '../clients/client-process.ts';
import { type Pins, pinned } from '../measure/pin.ts';
import { authorization, pathOf } from '../model/request.ts';
import { isLogged, needsOf, needsOwnServers, type Profile, regionsOf, type Scenario } from '../model/scenario.ts';
import { Scraper } from '../scrape/scraper.ts';
import { baseline, type Missing, rival, serversHere } from '../servers/all.ts';
import { type Server, type Setup, start } from '../servers/server.ts';
import type { Contender } from './contender.ts';
import { RunScope } from './run-scope.ts';
import { diskFolder, growTree, isInMemory, memoryFolder, regionNames, type Tree, writtenName } from './tree.ts';

/** The name of the service under test. */
export const baselineName = baseline.name;

/** What starting servers takes. */
export type FieldContext = {
  readonly scope: RunScope;
  /** Of so many processors for the server. */
  readonly pins: (processors: number) => Pins | undefined;
  /** Seconds from the start of the run. */
  readonly clock: () => number;
};

/** What a writer writes at once, in bytes; its region is made of such blocks. */
export const blockBytes = 2 ** 16;

/** Things that scenarios share, by what they are made for. */
class Shelf<Thing> {
  readonly #things = new Map<string, { readonly scope: RunScope; readonly thing: Promise<Thing> }>();

  get(key: string, parent: RunScope, make: (scope: RunScope) => Promise<Thing>): Promise<Thing> {
    const found = this.#things.get(key);
    if (found) return found.thing;
    const scope = new RunScope(parent);
    const thing = make(scope);
    this.#things.set(key, { scope, thing });
    return thing;
  }

  async keep(needed: readonly string[]): Promise<void> {
    const others = [...this.#things].filter(([key]) => !needed.includes(key));
    for (const [key] of others) this.#things.delete(key);
    await Promise.all(others.map(([, { scope }]) => scope.end()));
  }
}

/** The servers of a run. */
export class Field {
  readonly #context: FieldContext;
  readonly #here: readonly Server[];
  readonly #trees = new Shelf<Tree>();
  readonly #servers = new Shelf<Contender>();
  readonly missing: Missing[];

  constructor(context: FieldContext, words: readonly string[], given: readonly Server[]) {
    const { here, missing } = serversHere(words, given);
    this.#context = context;
    this.#here = here;
    this.missing = [...missing];
  }

  /** Who runs a scenario, and why others of the field do not. */
  takePart(scenario: Scenario, profile: Profile): { readonly servers: readonly Server[]; readonly missing: Missing[] } {
    const impossible = this.#impossible(scenario);
    if (impossible !== undefined) return nobody(scenario, impossible);
    const judged = this.#here.map((server) => ({ server, why: whyNot(scenario, profile, server) }));
    const servers = judged.flatMap(({ server, why }) => (why === undefined ? [server] : []));
    if (typeof scenario.rate === 'object' && !servers.includes(rival)) {
      return nobody(scenario, `${rival.name} is to show its peak first`);
    }
    const missing = judged.flatMap(({ server, why = '' }) =>
      why === '' ? [] : [{ name: `${server.name} in ${scenario.name}`, why }],
    );
    return { servers, missing };
  }

  #impossible({ regions, processors = 1 }: Scenario): string | undefined {
    if (regions?.on === 'disk' && isInMemory(diskFolder)) return `${diskFolder} is in memory, too`;
    if (processors > 1 && !this.#context.pins(processors)) return `there are fewer than ${processors} processors`;
    return undefined;
  }

  /** The contenders of a scenario, started if they are not yet, each on the processors for servers. */
  async contenders(scenario: Scenario, profile: Profile): Promise<readonly Contender[]> {
    const { servers } = this.takePart(scenario, profile);
    const started = await Promise.all(servers.map((server) => this.#contender(scenario, server)));
    const [first] = started;
    return scenario.writes === undefined || !first ? started : this.#states(scenario.writes, first);
  }

  /** Ends what these scenarios do not need. */
  async keepFor(later: readonly Scenario[]): Promise<void> {
    await this.#servers.keep(later.flatMap((scenario) => this.#here.map((server) => keyOf(scenario, server))));
    await this.#trees.keep(later.map(treeKey));
  }

  /** Has `act` use a server of its own, which ends with it. */
  async withServerAlone<Result>(
    scenario: Scenario,
    server: Server,
    act: (contender: Contender) => Promise<Result>,
  ): Promise<Result> {
    const setup = { ...setupOf(scenario, server), collects: scenario.idle !== undefined };
    const scope = new RunScope(this.#context.scope);
    try {
      return await act(await this.#start(scope, server, setup, await this.#tree(scenario)));
    } finally {
      await scope.end();
    }
  }

  #contender(scenario: Scenario, server: Server): Promise<Contender> {
    return this.#servers.get(keyOf(scenario, server), this.#context.scope, async (scope) =>
      this.#start(scope, server, setupOf(scenario, server), await this.#tree(scenario)),
    );
  }

  #tree(scenario: Scenario): Promise<Tree> {
    const { count, bytes, on } = regionsOf(scenario);
    return this.#trees.get(treeKey(scenario), this.#context.scope, async (scope) =>
      growTree(scope.folder(on === 'disk' ? diskFolder : memoryFolder), count, bytes, scenario.writes !== undefined),
    );
  }

  async #start(scope: RunScope, server: Server, setup: Setup, tree: Tree): Promise<Contender> {
    const processors = this.#context.pins(setup.processors)?.server;
    const { pid, port, socketPath } = await start(scope, server, setup, tree, (each) => pinned(processors, each));
    const origin = `http://127.0.0.1:${port}`;
    const headers = authorization(setup.tokens[0]);
    const path = server.isGiven ? await pathAt(origin, server) : server.path(regionNames);
    const scraper = server.isOurs ? new Scraper({ origin, socketPath }, headers, this.#context.clock) : undefined;
    scope.onEnd(async () => scraper?.end());
    return {
      ...{ name: server.name, about: server.about(setup), origin, socketPath, pid, scraper },
      ...{ path, regionBytes: tree.regionBytes, tokens: setup.tokens, writer: undefined },
      reference: server.isBlind ? undefined : { kind: 'file', path: tree.content },
    };
  }

  // One service with two regions, of which one is never written to: what writing leaves behind shows as well.
  #states(rate: number, quiet: Contender): readonly Contender[] {
    const { scope, pins } = this.#context;
    const path = baseline.path(writtenName);
    const beside = { ...quiet, path, reference: { kind: 'stamped', blockBytes } as const };
    const port = Number(new URL(quiet.origin).port);
    const writes = { port, path, size: blockBytes, regionBytes: quiet.regionBytes, rate, isStamped: true };
    const writer = startWriter(scope, (command) => pinned(pins(1)?.client, command), writes);
    return [
      quiet,
      { ...beside, name: `${quiet.name}, beside ${rate} overwrites/s`, writer },
      { ...beside, name: `${quiet.name}, left alone again` },
    ];
  }
}

// A server that nothing is known of may be one of pagerelay.
async function pathAt(origin: string, server: Server): Promise<string> {
  const path = baseline.path(regionNames);
  const { statusCode, body } = await request(origin + pathOf({ path }, 0), { method: 'HEAD' });
  await body.dump();
  return statusCode === 200 ? path : server.path(regionNames);
}

function nobody({ name }: Scenario, why: string) {
  return { servers: [], missing: [{ name: `all in ${name}`, why }] };
}

// Undefined for who takes part; empty where there is nothing to say.
function whyNot(scenario: Scenario, profile: Profile, server: Server): string | undefined {
  const { pattern, size, writes, against } = scenario;
  const lack = needsOf(scenario, server.word).find((need) => server.lacks.includes(need));
  const unsupported = lack === undefined ? undefined : `not supported: ${lack}`;
  if (server === baseline) return unsupported;
  const isAlone = against === 'nobody' || writes !== undefined;
  if (isAlone || (pattern !== 'whole' && size > (server.largest ?? size))) return '';
  if (server.isGiven) return unsupported;
  if (profile.compared?.includes(scenario.name) === false) return `the profile ${profile.name} has no time for it`;
  if (against === 'all' || against.includes(server.word)) return unsupported;
  return needsOwnServers(scenario) ? '' : 'scenarios.ts names who takes part there';
}

function setupOf(scenario: Scenario, server: Server): Setup {
  const { tokens = 0, socket = 'tcp', processors = 1, writes, size, pattern } = scenario;
  return {
    log: isLogged(scenario, server.word),
    tokens: Array.from({ length: tokens }, (_, at) => `token-${at}-of-those-who-may-read-it`),
    writable: writes !== undefined,
    size: server.isBlind && pattern !== 'whole' ? size : 0,
    ...{ socket, processors },
  };
}

function treeKey(scenario: Scenario): string {
  const { count, bytes, on } = regionsOf(scenario);
  return `${count} ${bytes} ${on} ${scenario.writes !== undefined}`;
}

function keyOf(scenario: Scenario, server: Server): string {
  return `${server.word} ${JSON.stringify(setupOf(scenario, server))} ${treeKey(scenario)}`;
}
