import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { NamedFile } from '../region/catalog.ts';
import { isRegionName } from '../region/name.ts';
import { type AddressBlock, parseAddressBlock } from '../relay/address-block.ts';
import type { EngineChoice } from '../relay/engine.ts';
import { engines as everyEngine } from '../relay/relay.ts';

const engines: readonly EngineChoice[] = ['auto', ...everyEngine];
const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const maxLanes = 256;
// Node fires a timer of 2^31 milliseconds or more at once.
const maxSeconds = 2_147_483;

/** The least severe messages that are logged. */
export type LogLevel = (typeof logLevels)[number];

/** What `pagerelay serve` runs with. */
export type ServeOptions = {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly dir: string | undefined;
  readonly regions: readonly NamedFile[];
  readonly engine: EngineChoice;
  readonly lanes: number;
  readonly unaskable: readonly AddressBlock[];
  /** Seconds, above 0, with fractions. */
  readonly maxHold: number;
  /** Seconds, with fractions. */
  readonly drain: number;
  readonly logLevel: LogLevel;
};

/** What a command line asks for. */
export type ServeCommand =
  | { readonly kind: 'serve'; readonly options: ServeOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' };

/** A command line, environment variable or configuration file that breaks a rule; the message names both. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

type Flag<Value> = {
  /** Without the dashes. The environment variable and the configuration key are derived from it. */
  readonly flag: string;
  readonly placeholder: string;
  readonly meaning: string;
  /** How usage text shows the default. */
  readonly shownDefault: string;
  readonly repeatable: boolean;
  /** What the configuration file writes the value as. */
  readonly json: 'string' | 'number';
  readonly fallback: () => Value;
  /** Completes the sentence "--flag must be ..." */
  readonly rule: string;
  /** Takes at least one text; undefined breaks the rule. */
  readonly read: (texts: readonly string[]) => Value | undefined;
};

type Flags = { readonly [Key in keyof ServeOptions]: Flag<ServeOptions[Key]> };
type AnyFlag = Omit<Flags[keyof Flags], 'read' | 'fallback'>;
type Environment = Readonly<Record<string, string | undefined>>;
type Source = { readonly label: string; readonly texts: readonly string[] };

const flags: Flags = {
  host: {
    flag: 'host',
    placeholder: 'HOST',
    meaning: 'address to listen on',
    shownDefault: '127.0.0.1',
    repeatable: false,
    json: 'string',
    fallback: () => '127.0.0.1',
    rule: 'a host name or an address',
    read: (texts) => lastText(texts, (text) => (/^[^\s/]+$/.test(text) ? text : undefined)),
  },
  port: {
    flag: 'port',
    placeholder: 'PORT',
    meaning: 'port to listen on; 0 picks one',
    shownDefault: '8080',
    repeatable: false,
    json: 'number',
    fallback: () => 8080,
    rule: 'a whole number from 0 to 65535',
    read: (texts) => lastText(texts, (text) => readWhole(text, 0, 65_535)),
  },
  dir: {
    flag: 'dir',
    placeholder: 'PATH',
    meaning: 'a tree of regions',
    shownDefault: 'none',
    repeatable: false,
    json: 'string',
    fallback: () => undefined,
    rule: 'a path that is not empty',
    read: (texts) => lastText(texts, readPath),
  },
  regions: {
    flag: 'region',
    placeholder: 'NAME=PATH',
    meaning: 'one file or device, served in place',
    shownDefault: 'none',
    repeatable: true,
    json: 'string',
    fallback: () => [],
    rule: 'NAME=PATH with a region name that is given once and a path that is not empty',
    read: readRegions,
  },
  engine: {
    flag: 'engine',
    placeholder: 'ENGINE',
    meaning: 'how bytes reach the socket',
    shownDefault: 'auto',
    repeatable: false,
    json: 'string',
    fallback: () => 'auto',
    rule: `one of ${engines.join(', ')}`,
    read: (texts) => lastText(texts, (text) => engines.find((engine) => engine === text)),
  },
  lanes: {
    flag: 'lanes',
    placeholder: 'N',
    meaning: 'native threads that carry responses',
    shownDefault: 'cores - 1',
    repeatable: false,
    json: 'number',
    fallback: () => Math.min(maxLanes, Math.max(1, availableParallelism() - 1)),
    rule: `a whole number from 1 to ${maxLanes}`,
    read: (texts) => lastText(texts, (text) => readWhole(text, 1, maxLanes)),
  },
  unaskable: {
    flag: 'unaskable',
    placeholder: 'CIDR',
    meaning: 'peers that this kernel may hold out of sight, such as containers behind NAT',
    shownDefault: 'none',
    repeatable: true,
    json: 'string',
    fallback: () => [],
    rule: 'an IPv4 or IPv6 address with a prefix length, such as 10.0.0.0/8 or fd00::/8',
    read: (texts) => readAll(texts, parseAddressBlock),
  },
  maxHold: {
    flag: 'max-hold',
    placeholder: 'SECONDS',
    meaning: 'how long a response may make no progress before it is broken off',
    shownDefault: '300',
    repeatable: false,
    json: 'number',
    fallback: () => 300,
    rule: `a number of seconds above 0, at most ${maxSeconds}`,
    read: (texts) => lastText(texts, (text) => readSeconds(text) || undefined),
  },
  drain: {
    flag: 'drain',
    placeholder: 'SECONDS',
    meaning: 'how long SIGTERM waits for responses on their way',
    shownDefault: '30',
    repeatable: false,
    json: 'number',
    fallback: () => 30,
    rule: `a number of seconds from 0 to ${maxSeconds}`,
    read: (texts) => lastText(texts, readSeconds),
  },
  logLevel: {
    flag: 'log-level',
    placeholder: 'LEVEL',
    meaning: 'the least severe messages to log',
    shownDefault: 'info',
    repeatable: false,
    json: 'string',
    fallback: () => 'info',
    rule: `one of ${logLevels.join(', ')}`,
    read: (texts) => lastText(texts, (text) => logLevels.find((level) => level === text)),
  },
};

// These steer the reading itself, so no configuration file holds them.
const steering = [
  {
    flag: 'config',
    placeholder: 'PATH',
    meaning: 'a JSON file with the options that are not given otherwise',
  },
  { flag: 'help', placeholder: '', meaning: 'print this text' },
  { flag: 'version', placeholder: '', meaning: 'print the version' },
];

/**
 * Reads what `pagerelay serve` was asked for. Flags win over `PAGERELAY_*` variables, these over the JSON file that
 * `--config` names, and that over the defaults. A list from one source replaces the list from the next.
 *
 * An empty variable counts as not set. Of a flag that takes one value and is given several times, the last one counts.
 *
 * @param argv the arguments after `serve`
 * @throws UsageError for an unknown flag or key, a positional, a value that breaks its rule, an unreadable file
 */
export function parseServeOptions(argv: readonly string[], env: Environment): ServeCommand {
  const given = parseFlags(argv);
  if (given.has('help')) return { kind: 'help' };
  if (given.has('version')) return { kind: 'version' };
  const path = given.get('config')?.at(-1) ?? (env[variableName('config')] || undefined);
  const file = path === undefined ? undefined : readConfigFile(path);
  const settle = <Value>(flag: Flag<Value>): Value => {
    const source = fromFlag(flag, given) ?? fromVariable(flag, env) ?? file?.get(flag.flag);
    return source === undefined ? flag.fallback() : judge(flag, source);
  };
  const options: ServeOptions = {
    host: settle(flags.host),
    port: settle(flags.port),
    dir: settle(flags.dir),
    regions: settle(flags.regions),
    engine: settle(flags.engine),
    lanes: settle(flags.lanes),
    unaskable: settle(flags.unaskable),
    maxHold: settle(flags.maxHold),
    drain: settle(flags.drain),
    logLevel: settle(flags.logLevel),
  };
  return { kind: 'serve', options };
}

/** The text that `pagerelay serve --help` prints, with a newline at its end. */
export function usage(): string {
  const rows = [
    ...Object.values(flags).map((flag) => [invocation(flag), `${flag.meaning}${usageNote(flag)}`] as const),
    ...steering.map((flag) => [invocation(flag), flag.meaning] as const),
  ];
  const width = Math.max(...rows.map(([left]) => left.length));
  const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
  return [
    'Usage: pagerelay serve [flags]',
    '',
    ...lines,
    '',
    `Every flag with a value can also be an environment variable (--max-hold is ${variableName('max-hold')};`,
    `lists are split at commas), and all but --config a key of the JSON file (${configKey('max-hold')}; lists`,
    'are arrays). Flags win over variables, and variables over the file.',
    '',
  ].join('\n');
}

function usageNote(flag: AnyFlag): string {
  return ` (${flag.repeatable ? 'repeatable' : `default ${flag.shownDefault}`})`;
}

function invocation(flag: { readonly flag: string; readonly placeholder: string }): string {
  return `--${flag.flag} ${flag.placeholder}`.trimEnd();
}

function variableName(flag: string): string {
  return `PAGERELAY_${flag.replaceAll('-', '_').toUpperCase()}`;
}

function configKey(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function parseFlags(argv: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const valued = [...Object.values(flags).map(({ flag }) => flag), 'config'];
  const options = {
    ...Object.fromEntries(valued.map((flag) => [flag, { type: 'string', multiple: true } as const])),
    help: { type: 'boolean' },
    version: { type: 'boolean' },
  } as const;
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false });
    return new Map(Object.entries(values).map(([flag, value]) => [flag, [value].flat().map(String)]));
  } catch (cause) {
    throw new UsageError(messageOf(cause), { cause });
  }
}

function fromFlag(flag: AnyFlag, given: ReadonlyMap<string, readonly string[]>): Source | undefined {
  const texts = given.get(flag.flag);
  return texts && { label: `--${flag.flag}`, texts };
}

function fromVariable(flag: AnyFlag, env: Environment): Source | undefined {
  const variable = variableName(flag.flag);
  const text = env[variable];
  if (text === undefined || text === '') return undefined;
  const texts = flag.repeatable ? text.split(',').map((part) => part.trim()) : [text];
  return { label: `--${flag.flag} (from ${variable})`, texts };
}

function judge<Value>(flag: Flag<Value>, source: Source): Value {
  const value = flag.read(source.texts);
  if (value !== undefined) return value;
  const shown = (flag.repeatable ? source.texts : source.texts.slice(-1)).map((text) => JSON.stringify(text));
  throw new UsageError(`${source.label} must be ${flag.rule}, not ${shown.join(' and ')}`);
}

function readConfigFile(path: string): ReadonlyMap<string, Source> {
  const byKey = new Map(Object.values(flags).map((flag: AnyFlag) => [configKey(flag.flag), flag]));
  const sources = new Map<string, Source>();
  for (const [key, value] of Object.entries(readJsonObject(path))) {
    const flag = byKey.get(key);
    if (flag === undefined) {
      throw new UsageError(`--config ${path}: unknown key "${key}"; known are ${[...byKey.keys()].join(', ')}`);
    }
    const label = `--${flag.flag} (from "${key}" in ${path})`;
    sources.set(flag.flag, { label, texts: configTexts(flag, value, label) });
  }
  return sources;
}

function readJsonObject(path: string): object {
  const value = readJson(path);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new UsageError(`--config ${path} must hold one JSON object`);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new UsageError(`--config ${path} must be a readable JSON file: ${messageOf(cause)}`, { cause });
  }
}

function configTexts(flag: AnyFlag, value: unknown, label: string): readonly string[] {
  const values: readonly unknown[] | undefined = flag.repeatable ? arrayOf(value) : [value];
  if (values?.every((item) => typeof item === flag.json)) return values.map(String);
  throw new UsageError(
    `${label} must be ${flag.repeatable ? `an array of JSON ${flag.json}s` : `a JSON ${flag.json}`}`,
  );
}

function arrayOf(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function lastText<Value>(texts: readonly string[], read: (text: string) => Value): Value | undefined {
  const text = texts.at(-1);
  return text === undefined ? undefined : read(text);
}

function readAll<Item>(texts: readonly string[], read: (text: string) => Item | undefined): Item[] | undefined {
  const items = texts.map(read).filter((item) => item !== undefined);
  return items.length === texts.length ? items : undefined;
}

function readWhole(text: string, least: number, most: number): number | undefined {
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : -1;
  return value >= least && value <= most ? value : undefined;
}

function readSeconds(text: string): number | undefined {
  const value = /^[0-9]+(?:\.[0-9]+)?$/.test(text) ? Number(text) : Number.NaN;
  return value <= maxSeconds ? value : undefined;
}

function readPath(text: string): string | undefined {
  return text === '' || text.includes('\0') ? undefined : text;
}

function readRegions(texts: readonly string[]): readonly NamedFile[] | undefined {
  const regions = readAll(texts, readRegion);
  const names = new Set(regions?.map(({ name }) => name));
  return names.size === regions?.length ? regions : undefined;
}

function readRegion(text: string): NamedFile | undefined {
  const [name = '', ...rest] = text.split('=');
  const path = readPath(rest.join('='));
  return path !== undefined && isRegionName(name) ? { name, path } : undefined;
}
