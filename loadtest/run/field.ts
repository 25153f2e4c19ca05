/** Starts the servers of this run when a scenario needs them, and ends them when no other does. @module */
import { type Pins, pinned } from '../measure/pin.ts';
import { authorization } from '../model/request.ts';
import type { Profile, Scenario } from '../model/scenario.ts';
import { isLogged, needsOf, regionsOf } from '../model/scenario.ts';
import { Scraper } from '../scrape/scraper.ts';
import { baseline, type Missing, rival, serversHere } from '../servers/all.ts';
import { type Server, type Setup, start } from '../servers/server.ts';
import { startWriter } from '../writer/writer.ts';
import type { Contender } from './contender.ts';
import type { Command } from './process.ts';
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

type Kept<Thing> = { readonly scope: RunScope; readonly thing: Promise<Thing> };

/** The servers of a run. */
export class Field {
  readonly #context: FieldContext;
  readonly #here: readonly Server[];
  readonly #trees = new Map<string, Kept<Tree>>();
  readonly #servers = new Map<string, Kept<Contender>>();
  readonly missing: Missing[];

  constructor(context: FieldContext, words: readonly string[]) {
    const { here, missing } = serversHere(words);
    this.#context = context;
    this.#here = here;
    this.missing = [...missing];
  }

  /** Who runs a scenario, and why others of the field do not. */
  takePart(scenario: Scenario, profile: Profile): { readonly servers: readonly Server[]; readonly missing: Missing[] } {
    const { pattern, size, idle, rate, writes, against } = scenario;
    const refused = this.#impossible(scenario);
    const nobody = (why: string) => ({ servers: [], missing: [{ name: `all in ${scenario.name}`, why }] });
    if (refused !== undefined) return nobody(refused);
    const isAlone = against === 'nobody' || writes !== undefined;
    const isShort = profile.compared?.includes(scenario.name) === false;
    const judged = this.#here.map((server): { server: Server; why?: string } => {
      const lack = needsOf(scenario, server.word).find((need) => server.lacks.includes(need));
      const unsupported = lack === undefined ? {} : { why: `not supported: ${lack}` };
      if (server === baseline) return { server, ...unsupported };
      if (isAlone || (pattern !== 'whole' && size > (server.largest ?? size))) return { server, why: '' };
      if (isShort) return { server, why: `the profile ${profile.name} has no time for it` };
      if (against === 'all' || against.includes(server.word)) return { server, ...unsupported };
      return { server, why: idle === undefined ? 'scenarios.ts names who takes part there' : '' };
    });
    const servers = judged.flatMap(({ server, why }) => (why === undefined ? [server] : []));
    if (typeof rate === 'object' && !servers.includes(rival)) return nobody(`${rival.name} is to show its peak first`);
    const missing = judged.flatMap(({ server, why }) =>
      why === undefined || why === '' ? [] : [{ name: `${server.name} in ${scenario.name}`, why }],
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
    const needed = later.flatMap((scenario) => this.#here.map((server) => keyOf(scenario, server)));
    for (const [key, { scope }] of this.#servers) {
      if (needed.includes(key)) continue;
      this.#servers.delete(key);
      await scope.end();
    }
    const trees = later.map(treeKey);
    for (const [key, { scope }] of this.#trees) {
      if (trees.includes(key)) continue;
      this.#trees.delete(key);
      await scope.end();
    }
  }

  /** A server of its own, for whoever ends it. */
  async startAlone(scope: RunScope, scenario: Scenario, server: Server): Promise<Contender> {
    return this.#start(scope, server, { ...setupOf(scenario, server), collects: true }, await this.#tree(scenario));
  }

  #contender(scenario: Scenario, server: Server): Promise<Contender> {
    return kept(this.#servers, keyOf(scenario, server), this.#context.scope, async (scope) =>
      this.#start(scope, server, setupOf(scenario, server), await this.#tree(scenario)),
    );
  }

  #tree(scenario: Scenario): Promise<Tree> {
    const { count, bytes, on } = regionsOf(scenario);
    return kept(this.#trees, treeKey(scenario), this.#context.scope, async (scope) =>
      growTree(scope.folder(on === 'disk' ? diskFolder : memoryFolder), count, bytes, scenario.writes !== undefined),
    );
  }

  async #start(scope: RunScope, server: Server, setup: Setup, tree: Tree): Promise<Contender> {
    const pins = this.#context.pins(setup.processors);
    const { pid, port, socketPath } = await start(scope, server, setup, tree, (command) =>
      pinned(pins?.server, command),
    );
    const origin = `http://127.0.0.1:${port}`;
    const scraper = server.isOurs
      ? new Scraper(origin, authorization(setup.tokens[0]), this.#context.clock)
      : undefined;
    scope.onEnd(async () => scraper?.end());
    return {
      ...{ name: server.name, about: server.about(setup), origin, socketPath, pid, scraper },
      ...{ path: server.path(regionNames), regionBytes: tree.regionBytes, tokens: setup.tokens, writer: undefined },
      reference: server.isBlind ? undefined : { kind: 'file', path: tree.content },
    };
  }

  // One service with two regions, of which one is never written to: what writing leaves behind shows as well.
  #states(rate: number, quiet: Contender): readonly Contender[] {
    const { scope, pins } = this.#context;
    const path = baseline.path(writtenName);
    const reference = { kind: 'stamped', blockBytes } as const;
    const asked = {
      port: Number(new URL(quiet.origin).port),
      path,
      size: blockBytes,
      regionBytes: quiet.regionBytes,
      rate,
    };
    const pin = (command: Command) => pinned(pins(1)?.client, command);
    const writer = startWriter(scope, pin, { ...asked, isStamped: true });
    const beside = { ...quiet, path, reference };
    return [
      quiet,
      { ...beside, name: `${quiet.name}, beside ${rate} overwrites/s`, writer },
      { ...beside, name: `${quiet.name}, left alone again` },
    ];
  }
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

function kept<Thing>(
  all: Map<string, Kept<Thing>>,
  key: string,
  parent: RunScope,
  make: (scope: RunScope) => Promise<Thing>,
): Promise<Thing> {
  const found = all.get(key);
  if (found) return found.thing;
  const scope = new RunScope(parent);
  const thing = make(scope);
  all.set(key, { scope, thing });
  return thing;
}
