/** The command line of `npm run loadtest` and `npm run bench`. @module */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { profiles } from './model/profiles.ts';
import { conditionsInWords, type Profile, type Scenario } from './model/scenario.ts';
import { scenarios } from './model/scenarios.ts';
import { allServers, serverWords } from './servers/all.ts';
import { serverBy } from './servers/command.ts';
import type { Server } from './servers/server.ts';

/** A command line that breaks a rule. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What to run. */
export type RunOptions = ReturnType<typeof optionsOf>;

/** A service that somebody else has started: where it is, and what is known of it. */
export type Target = NonNullable<ReturnType<typeof targetOf>>;

/** What a command line asks for. */
export type Asked =
  | { readonly kind: 'help' | 'list' }
  | { readonly kind: 'run'; readonly options: RunOptions }
  | { readonly kind: 'compare'; readonly old: string; readonly new: string; readonly threshold: number };

const texts = [
  ...['url', 'region', 'reference', 'pid', 'token-file', 'profile', 'scenarios', 'servers', 'seconds', 'rounds'],
  ...['clients', 'max-requests', 'max-minutes', 'settle', 'out', 'save-baseline', 'document', 'compare', 'threshold'],
  'server-command',
] as const;

type Texts = Partial<Record<(typeof texts)[number], string>>;

/** How to call it. */
export function usage(): string {
  return `npm run loadtest -- [--profile ${profiles.map(({ name }) => name).join('|')}] [--scenarios NAME,NAME] [--seconds S] [--rounds N]
                    [--servers ${serverWords.join(',')} | none] [--clients fast|checking]
                    [--server-command 'NAME=COMMAND with {dir} and {port}']
                    [--url http://HOST:PORT [--region NAME] [--reference PATH] [--pid N] [--token-file PATH] [--allow-remote]]
                    [--max-requests N] [--max-minutes M] [--settle S] [--out FOLDER] [--save-baseline PATH] [--document PATH]
npm run loadtest -- --compare OLD.json NEW.json [--threshold 0.25]
npm run loadtest -- --list
npm run bench -- ... is npm run loadtest -- --profile bench ...

${profiles.map(({ name, about }) => `${name}: ${about}`).join('\n')}`;
}

/** Every scenario, in users' words. */
export function listOfScenarios(): string {
  return scenarios
    .map((scenario) => `${scenario.name}: ${scenario.about}\n    ${conditionsInWords(scenario)}`)
    .join('\n');
}

/** @throws UsageError */
export function parseOptions(argv: readonly string[]): Asked {
  const { values, positionals } = parse(argv);
  if (values.help) return { kind: 'help' };
  if (values.list) return { kind: 'list' };
  const text = values as Texts;
  if (text.compare !== undefined) return comparisonOf(text, positionals);
  if (text.threshold !== undefined) throw new UsageError('--threshold goes with --compare');
  const [surplus] = positionals;
  if (surplus !== undefined) throw new UsageError(`nothing is known of ${surplus}`);
  return { kind: 'run', options: optionsOf(text, values['allow-remote'] === true) };
}

function optionsOf(text: Texts, allowRemote: boolean) {
  const isShortened = text.rounds !== undefined || text.seconds !== undefined;
  if (text['save-baseline'] !== undefined && isShortened) {
    throw new UsageError('a baseline is of a whole profile: --rounds and --seconds do not go with --save-baseline');
  }
  const profile = profileOf(text);
  const target = targetOf(text, allowRemote);
  const isWhole = (['scenarios', 'servers', 'server-command', 'url'] as const).every(
    (name) => text[name] === undefined,
  );
  const longest = 60 + ((profile.repeatForSeconds ?? 0) / 60) * 1.5;
  return {
    profile,
    scenarios: scenariosOf(text.scenarios?.split(',') ?? profile.scenarios),
    /** Undefined: servers of our own. */
    target,
    /** Words of servers/all.ts; the service under test always runs. */
    servers: target ? [] : serversOf(text.servers, profile),
    /** Beside these, by commands that start them. */
    given: givenServers(text['server-command']),
    /** Requests of one load, at most. */
    maxRequests: number(text, 'max-requests', 2_000_000, 1, 1e9),
    /** The whole run, at most. */
    maxMinutes: number(text, 'max-minutes', longest, 0.01, 10_000),
    settleSeconds: number(text, 'settle', 10, 0.1, 600),
    /** A folder is made in it. */
    out: text.out ?? 'results',
    /** Where the ratios go without what they are made of. */
    saveBaseline: text['save-baseline'],
    /** Where the Markdown goes as well. */
    document: text.document ?? (isWhole ? profile.document : undefined),
  };
}

function parse(argv: readonly string[]) {
  const strings = Object.fromEntries(texts.map((name) => [name, { type: 'string' }] as const));
  const flag = { type: 'boolean' } as const;
  const options = { ...strings, 'allow-remote': flag, list: flag, help: { ...flag, short: 'h' } } as const;
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: true });
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function comparisonOf(text: Texts, positionals: readonly string[]): Asked {
  const [newer, surplus] = positionals;
  if (newer === undefined || surplus !== undefined) {
    throw new UsageError('--compare takes two files: OLD.json NEW.json');
  }
  return { kind: 'compare', old: text.compare ?? '', new: newer, threshold: number(text, 'threshold', 0.25, 0, 10) };
}

function profileOf(text: Texts): Profile {
  const profile = profiles.find(({ name }) => name === (text.profile ?? 'quick'));
  if (!profile) throw new UsageError(`--profile must be one of ${profiles.map(({ name }) => name).join(', ')}`);
  const rounds = number(text, 'rounds', profile.rounds, 1, 1000);
  if (!Number.isInteger(rounds)) throw new UsageError('--rounds must be a whole number');
  const clients = text.clients ?? profile.clients;
  if (clients !== 'fast' && clients !== 'checking') throw new UsageError('--clients must be fast or checking');
  const seconds = number(text, 'seconds', profile.seconds, 0.1, 3600);
  // Who asks for a scenario by its name has time for all of it.
  const { compared, ...all } = profile;
  const changed = { rounds, roundsAlone: Math.min(rounds, profile.roundsAlone), clients, seconds } as const;
  return { ...(text.scenarios === undefined ? profile : all), ...changed };
}

function scenariosOf(names: readonly string[]): Scenario[] {
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new UsageError(`${twice} is there twice`);
  return names.map((name) => {
    const scenario = scenarios.find((each) => each.name === name);
    if (!scenario) throw new UsageError(`there is no scenario ${name}: --list names them`);
    return scenario;
  });
}

function targetOf(text: Texts, allowRemote: boolean) {
  const { url, region, reference, pid } = text;
  if (url === undefined) {
    const lonely = (['region', 'reference', 'pid', 'token-file'] as const).find((name) => text[name] !== undefined);
    if (lonely !== undefined || allowRemote) throw new UsageError(`--${lonely ?? 'allow-remote'} goes with --url`);
    return undefined;
  }
  const other = (['servers', 'server-command'] as const).find((name) => text[name] !== undefined);
  if (other) throw new UsageError(`with --url, no other server runs: --${other} does not go with it`);
  if (!URL.canParse(url)) throw new UsageError('--url must be an address such as http://127.0.0.1:8080');
  const token = text['token-file'] === undefined ? undefined : tokenIn(text['token-file']);
  const process = pid === undefined ? undefined : number(text, 'pid', 0, 1, 2 ** 31);
  return {
    /** Its origin, or a region's whole address. */
    url,
    /** A name; undefined: the first that it lists. */
    region,
    /** A copy of the region on this machine; undefined: it is fetched first. */
    reference,
    ...{ allowRemote, token, pid: process },
  };
}

function tokenIn(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim().split('\n')[0] ?? '';
  } catch (cause) {
    throw new UsageError(`--token-file: ${(cause as Error).message}`, { cause });
  }
}

function serversOf(text: string | undefined, profile: Profile): readonly string[] {
  if (text === 'none') return [];
  const asked = text?.split(',') ?? profile.servers;
  const unknown = asked.find((word) => !serverWords.includes(word));
  if (unknown !== undefined) throw new UsageError(`there is no server ${unknown}`);
  return asked;
}

function givenServers(text: string | undefined): readonly Server[] {
  if (text === undefined) return [];
  const [name = '', command] = text.split(/=(.*)/s);
  if (!name || !command?.includes('{dir}') || !command.includes('{port}')) {
    throw new UsageError('--server-command must be NAME=COMMAND, and the command name {dir} and {port}');
  }
  if (allServers.some((server) => server.word === name || server.name === name)) {
    throw new UsageError(`--server-command: there is a server ${name} already`);
  }
  return [serverBy(name, command)];
}

function number(texts: Texts, flag: keyof Texts, preset: number, least: number, most: number): number {
  const { [flag]: text = String(preset) } = texts;
  const value = Number(text);
  if (text.trim() !== '' && value >= least && value <= most) return value;
  throw new UsageError(`--${flag} must be a number from ${least} to ${most}`);
}
