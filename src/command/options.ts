import { readFileSync } from 'node:fs';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { isLoopbackAddress } from '../http/guard/loopback-host.ts';
import type { ListenAt } from '../node/listeners.ts';
import { isRegionName } from '../region/name.ts';
import type { Flag } from './flag-kinds.ts';
import { flags, type ServeOptions } from './flags.ts';
import { mostListeners, socketPathOf } from './listen-flag.ts';
import { UsageError } from './usage-error.ts';

export type { ServeOptions } from './flags.ts';
export { UsageError } from './usage-error.ts';

/** What a command line asks for. */
export type ServeCommand =
  | { readonly kind: 'serve' | 'check'; readonly options: ServeOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' };

type AnyFlag = Flag<unknown>;
type Environment = Readonly<Record<string, string | undefined>>;
/** `rank`: 0 is the command line, which wins over the environment (1), and that over the file. */
type Source = { readonly label: string; readonly texts: readonly string[]; readonly rank: number };

// These steer the reading itself, so no configuration file holds them.
const steering = [
  {
    flag: 'config',
    placeholder: 'PATH',
    meaning: 'a JSON file with the options that are not given otherwise',
  },
  { flag: 'check', placeholder: '', meaning: 'say what would be served and where, or why it can not be; serve nobody' },
  { flag: 'help', placeholder: '', meaning: 'print this text' },
  { flag: 'version', placeholder: '', meaning: 'print the version' },
];

/**
 * Reads what `pagerelay serve` was asked for. Flags win over `PAGERELAY_*` variables, these over the JSON file of
 * `--config`, and that over the defaults. A list replaces that of a later source; of single values the last counts; an
 * empty variable is not set.
 *
 * @throws UsageError for what is unknown, a value that breaks its rule, an unreadable file, and writing without `--dir`
 * or, beyond loopback, without a token file
 */
export function parseServeOptions(argv: readonly string[], env: Environment): ServeCommand {
  const given = parseFlags(argv);
  if (given.has('help')) return { kind: 'help' };
  if (given.has('version')) return { kind: 'version' };
  const path = given.get('config')?.at(-1) ?? (env[variableName('config')] || undefined);
  const file = path === undefined ? undefined : readConfigFile(path);
  const sourceOf = (flag: AnyFlag) => fromFlag(flag, given) ?? fromVariable(flag, env) ?? file?.get(flag.flag);
  const sources = new Map(Object.values(flags).map((flag) => [flag as AnyFlag, sourceOf(flag)]));
  dropShortForm(sources);
  const settled = Object.entries(flags).map(([option, flag]) => {
    const source = sources.get(flag);
    return [option, source === undefined ? flag.fallback : judge(flag, source)];
  });
  const options = Object.fromEntries(settled) as ServeOptions;
  refuseTooManyPlaces(options);
  refuseUntrustedProxies(options);
  refuseUnsafeWriting(options);
  refuseDeniedNames(options);
  return { kind: given.has('check') ? 'check' : 'serve', options };
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
    '       pagerelay prove [--json] [--path PATH]... [--engine ENGINE]',
    '',
    ...lines,
    '',
    `Every flag but --check, --help and --version can also be an environment variable (--max-hold is`,
    `${variableName('max-hold')}; lists are split at commas, --listen at spaces,
--header at line ends; ${variableName('writable')} is 1 or 0), and all of these`,
    `but --config a key of the JSON file (${configKey('max-hold')}; lists are arrays). Flags win over variables, and`,
    'variables over the file.',
    '',
  ].join('\n');
}

// Of --listen and its short form, --host and --port, the one counts that is given at the higher rank.
function dropShortForm(sources: Map<AnyFlag, Source | undefined>): void {
  const long = sources.get(flags.listen);
  for (const flag of [flags.host, flags.port]) {
    const short = sources.get(flag);
    if (!long || !short) continue;
    if (long.rank === short.rank)
      throw new UsageError(`${short.label} is a short form of --listen: only one of them can be given`);
    sources.delete(long.rank < short.rank ? flag : flags.listen);
  }
}

function refuseTooManyPlaces({ listen, adminListen }: ServeOptions): void {
  if (Math.max(1, listen.length) + adminListen.length > mostListeners)
    throw new UsageError(`--listen and --admin-listen take at most ${mostListeners} places together`);
}

function refuseUntrustedProxies({ listen, adminListen, trustedProxies }: ServeOptions): void {
  const asked = [
    ...listen.filter(({ takesProxy }) => takesProxy).map(({ text }) => `--listen ${text}`),
    ...adminListen.filter(({ takesProxy }) => takesProxy).map(({ text }) => `--admin-listen ${text}`),
  ][0];
  if (asked && trustedProxies.length === 0)
    throw new UsageError(`${asked} needs --trusted-proxy: nobody else may say who a client is`);
}

function refuseUnsafeWriting(options: ServeOptions): void {
  const { writable, dir, host, listen, adminListen, writeTokenFile } = options;
  if (!writable) return;
  if (dir === undefined) throw new UsageError('--writable needs --dir: only a tree of regions can be written to');
  if (writeTokenFile !== undefined) return;
  const open = [
    ...(listen.length > 0 || isLocalHost(host) ? [] : [`--host ${host}`]),
    ...listen.filter(isBeyondLoopback).map(({ text }) => `--listen ${text}`),
    ...adminListen.filter(isBeyondLoopback).map(({ text }) => `--admin-listen ${text}`),
  ][0];
  if (open) throw new UsageError(`--writable on ${open}, beyond loopback, needs --write-token-file`);
}

// Who has passed on a descriptor may have it listen anywhere.
function isBeyondLoopback({ place }: ListenAt): boolean {
  return 'fd' in place || ('host' in place && !isLocalHost(place.host));
}

// Names below localhost may lead anywhere where the system's resolver does not know them.
function isLocalHost(host: string): boolean {
  return isLoopbackAddress(host) || socketPathOf(host) !== undefined || host.toLowerCase() === 'localhost';
}

function refuseDeniedNames({ regions, dotfiles }: ServeOptions): void {
  const denied = regions.find(({ name }) => !isRegionName(name, dotfiles));
  if (denied) throw new UsageError(`--region ${denied.name}=… has a segment that begins with a dot: --dotfiles deny`);
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
  const typed = Object.values(flags).map(
    ({ flag, placeholder }) => [flag, { type: placeholder === '' ? 'boolean' : 'string', multiple: true }] as const,
  );
  const options = {
    ...Object.fromEntries(typed),
    config: { type: 'string', multiple: true },
    check: { type: 'boolean' },
    help: { type: 'boolean' },
    version: { type: 'boolean' },
  } as const;
  const values = Object.entries(parseStrictly(argv, options));
  return new Map(values.map(([flag, value]) => [flag, [value].flat().map(String)]));
}

function fromFlag(flag: AnyFlag, given: ReadonlyMap<string, readonly string[]>): Source | undefined {
  const texts = given.get(flag.flag);
  return texts && { label: `--${flag.flag}`, texts, rank: 0 };
}

function fromVariable(flag: AnyFlag, env: Environment): Source | undefined {
  const variable = variableName(flag.flag);
  const text = env[variable];
  if (text === undefined || text === '') return undefined;
  const texts = flag.repeatable
    ? text
        .trim()
        .split(flag.separator ?? ',')
        .map((part) => part.trim())
    : [text];
  return { label: `--${flag.flag} (from ${variable})`, texts, rank: 1 };
}

function judge(flag: AnyFlag, source: Source): unknown {
  const value = flag.read(source.texts);
  if (value !== undefined) return value;
  const shown = (flag.repeatable ? source.texts : source.texts.slice(-1)).map((text) => JSON.stringify(text));
  throw new UsageError(`${source.label} must be ${flag.rule}, not ${shown.join(' and ')}`);
}

function readConfigFile(path: string): ReadonlyMap<string, Source> {
  const byKey = new Map(Object.values(flags).map((flag) => [configKey(flag.flag), flag]));
  const sources = new Map<string, Source>();
  for (const [key, value] of Object.entries(readJsonObject(path))) {
    const flag = byKey.get(key);
    if (flag === undefined) {
      throw new UsageError(`--config ${path}: unknown key "${key}"; known are ${[...byKey.keys()].join(', ')}`);
    }
    const label = `--${flag.flag} (from "${key}" in ${path})`;
    sources.set(flag.flag, { label, texts: configTexts(flag, value, label), rank: 2 });
  }
  return sources;
}

function readJsonObject(path: string): object {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new UsageError(`--config ${path} must be a readable JSON file: ${messageOf(cause)}`, { cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new UsageError(`--config ${path} must hold one JSON object`);
}

function configTexts(flag: AnyFlag, value: unknown, label: string): readonly string[] {
  const values: unknown = flag.repeatable ? value : [value];
  const isOfType = (item: unknown) => flag.json.some((type) => typeof item === type);
  if (Array.isArray(values) && values.every(isOfType)) return values.map(String);
  const types = flag.json.join(' or ');
  throw new UsageError(`${label} must be ${flag.repeatable ? `an array of JSON ${types}s` : `a JSON ${types}`}`);
}

/** Reads flags strictly. @throws UsageError */
export function parseStrictly<Options extends NonNullable<ParseArgsConfig['options']>>(
  argv: readonly string[],
  options: Options,
) {
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    throw new UsageError(messageOf(cause), { cause });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
