/** The options of `pagerelay serve`: their names, defaults and rules. @module */
import { availableParallelism } from 'node:os';
import { isAllowable } from '../http/guard/allowed-hosts.ts';
import { type GivenField, isFieldValue, ownFields, readField } from '../http/read/given-fields.ts';
import type { NamedFile } from '../region/catalog.ts';
import { type Dotfiles, dotfileRules, isRegionName } from '../region/name.ts';
import { type AddressBlock, parseAddressBlock } from '../relay/address-block.ts';
import type { EngineChoice } from '../relay/engine.ts';
import { engines as everyEngine } from '../relay/relay.ts';

const engines: readonly EngineChoice[] = ['auto', ...everyEngine];
const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const maxLanes = 256;
// Node fires a timer of 2^31 milliseconds or more at once.
const maxSeconds = 2_147_483;
const byteUnits = new Map([
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
  ['TiB', 2 ** 40],
]);
const aboveZero = `a number of seconds above 0, at most ${maxSeconds}`;
const someBytes = 'a whole number of bytes from 1 to 2^53 - 1, alone or in KiB, MiB, GiB or TiB, such as 64MiB';

/** The least severe messages that are logged. */
export type LogLevel = (typeof logLevels)[number];

/** What `pagerelay serve` runs with. */
export type ServeOptions = {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly dir: string | undefined;
  /** Whether names may have segments that begin with a dot. */
  readonly dotfiles: Dotfiles;
  /** Whether regions of `dir` can be made, changed and deleted. */
  readonly writable: boolean;
  /** By which hosts a service on the loopback may be asked beside those of the loopback; `*` is any. */
  readonly allowHosts: readonly string[];
  readonly writeTokenFile: string | undefined;
  readonly readTokenFile: string | undefined;
  readonly regions: readonly NamedFile[];
  /** Whether entity-tags of files that others made are told by size and mtime alone. */
  readonly portableEtags: boolean;
  readonly engine: EngineChoice;
  /** Whether lanes answer nothing by themselves. */
  readonly noExpress: boolean;
  /** Bytes: shorter bodies are copied. */
  readonly copyBelow: number;
  readonly lanes: number;
  readonly unaskable: readonly AddressBlock[];
  /** Seconds, above 0, with fractions. */
  readonly maxHold: number;
  /** Seconds, above 0, with fractions. */
  readonly breakHolds: number;
  /** Seconds, above 0, with fractions. */
  readonly bodyTimeout: number;
  /** Seconds, with fractions. */
  readonly maxWait: number;
  /** Bytes. */
  readonly maxPartial: number;
  /** Bytes; undefined: no quota. */
  readonly maxBytes: number | undefined;
  /** Seconds, with fractions. */
  readonly drain: number;
  readonly logLevel: LogLevel;
  /** Bytes: the largest region whose digest is computed. */
  readonly maxDigestBytes: number;
  /** Cache-Control of every answer of a region. */
  readonly cacheControl: string;
  /** Other fields of every answer of a region. */
  readonly headers: readonly GivenField[];
};

type JsonType = 'string' | 'number' | 'boolean';

/** One option of `pagerelay serve`: how it is written and read in each of its sources. */
export type Flag<Value> = {
  /** Without the dashes. The environment variable and the configuration key are derived from it. */
  readonly flag: string;
  /** Empty: on the command line the flag takes no value, and means `true`. */
  readonly placeholder: string;
  readonly meaning: string;
  /** How usage text shows the default. */
  readonly shownDefault: string;
  readonly repeatable: boolean;
  /** What parts the values of one environment variable; by default a comma. */
  readonly separator?: string;
  /** What the configuration file may write the value as. */
  readonly json: readonly JsonType[];
  readonly fallback: () => Value;
  /** Completes the sentence "--flag must be ..." */
  readonly rule: string;
  /** Takes at least one text; undefined breaks the rule. */
  readonly read: (texts: readonly string[]) => Value | undefined;
};

/** The flag of each option. */
export type Flags = { readonly [Key in keyof ServeOptions]: Flag<ServeOptions[Key]> };
/** What the reading of sources needs to know of a flag. */
export type AnyFlag = Omit<Flags[keyof Flags], 'read' | 'fallback'>;
type Kind<Value> = Omit<Flag<Value>, 'flag' | 'meaning'>;

const onOff: Kind<boolean> = {
  placeholder: '',
  shownDefault: 'off',
  repeatable: false,
  json: ['boolean'],
  fallback: () => false,
  rule: '1, true, 0 or false',
  read: (texts) => lastText(texts, readSwitch),
};

const onePath: Kind<string | undefined> = {
  placeholder: 'PATH',
  shownDefault: 'none',
  repeatable: false,
  json: ['string'],
  fallback: () => undefined,
  rule: 'a path that is not empty',
  read: (texts) => lastText(texts, readPath),
};

/** In the order of usage text. */
export const flags: Flags = {
  host: {
    flag: 'host',
    placeholder: 'HOST',
    meaning: 'address to listen on',
    shownDefault: '127.0.0.1',
    repeatable: false,
    json: ['string'],
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
    json: ['number'],
    fallback: () => 8080,
    rule: 'a whole number from 0 to 65535',
    read: (texts) => lastText(texts, (text) => readWhole(text, 0, 65_535)),
  },
  dir: {
    flag: 'dir',
    meaning: 'a tree of regions',
    ...onePath,
  },
  dotfiles: {
    flag: 'dotfiles',
    placeholder: 'RULE',
    meaning: 'whether names may have segments that begin with a dot: allow or deny',
    shownDefault: 'allow',
    repeatable: false,
    json: ['string'],
    fallback: () => 'allow',
    rule: `one of ${dotfileRules.join(', ')}`,
    read: (texts) => lastText(texts, (text) => dotfileRules.find((rule) => rule === text)),
  },
  writable: {
    flag: 'writable',
    meaning: 'allow regions of --dir to be made, changed and deleted',
    ...onOff,
  },
  allowHosts: {
    flag: 'allow-host',
    placeholder: 'NAME',
    meaning: 'another host that a service on the loopback answers to, with or without a port; * is any',
    shownDefault: 'none',
    repeatable: true,
    json: ['string'],
    fallback: () => [],
    rule: 'a host with or without a port, such as files.example or [fd00::1]:8080, or *',
    read: (texts) => readAll(texts, (text) => (isAllowable(text) ? text : undefined)),
  },
  writeTokenFile: {
    flag: 'write-token-file',
    meaning: 'bearer tokens of those who may write, one a line',
    ...onePath,
  },
  readTokenFile: {
    flag: 'read-token-file',
    meaning: 'bearer tokens of those who may read, one a line',
    ...onePath,
  },
  regions: {
    flag: 'region',
    placeholder: 'NAME=PATH',
    meaning: 'one file or device, served in place',
    shownDefault: 'none',
    repeatable: true,
    json: ['string'],
    fallback: () => [],
    rule: 'NAME=PATH with a region name that is given once and a path that is not empty',
    read: readRegions,
  },
  portableEtags: {
    flag: 'portable-etags',
    meaning: 'tell files that others made apart by size and mtime alone: for equal copies on several machines',
    ...onOff,
  },
  maxDigestBytes: {
    flag: 'max-digest-bytes',
    placeholder: 'BYTES',
    meaning: 'the largest region whose digest is computed when it is asked for; 0: none is',
    shownDefault: '1GiB',
    repeatable: false,
    json: ['number', 'string'],
    fallback: () => 2 ** 30,
    rule: `0, or ${someBytes}`,
    read: (texts) => lastText(texts, (text) => (text === '0' ? 0 : readBytes(text))),
  },
  cacheControl: {
    flag: 'cache-control',
    placeholder: 'VALUE',
    meaning: 'Cache-Control of every answer of a region',
    shownDefault: 'no-cache',
    repeatable: false,
    json: ['string'],
    fallback: () => 'no-cache',
    rule: 'a field value of visible ASCII characters, with spaces only between them',
    read: (texts) => lastText(texts, (text) => (isFieldValue(text) ? text : undefined)),
  },
  headers: {
    flag: 'header',
    placeholder: 'NAME:VALUE',
    meaning: 'a field that every answer of a region has as well',
    shownDefault: 'none',
    repeatable: true,
    separator: '\n',
    json: ['string'],
    fallback: () => [],
    rule: `a field name, a colon and a value of visible ASCII characters, other than ${[...ownFields].join(', ')}`,
    read: (texts) => readAll(texts, readField),
  },
  engine: {
    flag: 'engine',
    placeholder: 'ENGINE',
    meaning: 'how bytes reach the socket',
    shownDefault: 'auto',
    repeatable: false,
    json: ['string'],
    fallback: () => 'auto',
    rule: `one of ${engines.join(', ')}`,
    read: (texts) => lastText(texts, (text) => engines.find((engine) => engine === text)),
  },
  noExpress: {
    flag: 'no-express',
    meaning: 'answer each request in Node, also one that repeats the last',
    ...onOff,
  },
  copyBelow: {
    flag: 'copy-below',
    placeholder: 'BYTES',
    meaning: 'copy bodies that are shorter',
    shownDefault: '0',
    repeatable: false,
    json: ['number', 'string'],
    fallback: () => 0,
    rule: `0, or ${someBytes}`,
    read: (texts) => lastText(texts, (text) => (text === '0' ? 0 : readBytes(text))),
  },
  lanes: {
    flag: 'lanes',
    placeholder: 'N',
    meaning: 'native threads that carry responses',
    shownDefault: 'cores - 1',
    repeatable: false,
    json: ['number'],
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
    json: ['string'],
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
    json: ['number'],
    fallback: () => 300,
    rule: aboveZero,
    read: (texts) => lastText(texts, (text) => readSeconds(text) || undefined),
  },
  breakHolds: {
    flag: 'break-holds',
    placeholder: 'SECONDS',
    meaning: 'how long a writer waits for an older response before that is broken off',
    shownDefault: '30',
    repeatable: false,
    json: ['number'],
    fallback: () => 30,
    rule: aboveZero,
    read: (texts) => lastText(texts, (text) => readSeconds(text) || undefined),
  },
  bodyTimeout: {
    flag: 'body-timeout',
    placeholder: 'SECONDS',
    meaning: 'how long the body of a request may bring no byte before the connection is closed',
    shownDefault: '60',
    repeatable: false,
    json: ['number'],
    fallback: () => 60,
    rule: aboveZero,
    read: (texts) => lastText(texts, (text) => readSeconds(text) || undefined),
  },
  maxWait: {
    flag: 'max-wait',
    placeholder: 'SECONDS',
    meaning: 'how long a reader waits for a lease or a writer before it is refused',
    shownDefault: '30',
    repeatable: false,
    json: ['number'],
    fallback: () => 30,
    rule: `a number of seconds from 0 to ${maxSeconds}`,
    read: (texts) => lastText(texts, readSeconds),
  },
  maxPartial: {
    flag: 'max-partial',
    placeholder: 'BYTES',
    meaning: 'the largest overwrite in place',
    shownDefault: '64MiB',
    repeatable: false,
    json: ['number', 'string'],
    fallback: () => 64 * 2 ** 20,
    rule: someBytes,
    read: (texts) => lastText(texts, readBytes),
  },
  maxBytes: {
    flag: 'max-bytes',
    placeholder: 'BYTES',
    meaning: 'what all regions of --dir may take up together',
    shownDefault: 'none',
    repeatable: false,
    json: ['number', 'string'],
    fallback: () => undefined,
    rule: someBytes,
    read: (texts) => lastText(texts, readBytes),
  },
  drain: {
    flag: 'drain',
    placeholder: 'SECONDS',
    meaning: 'how long SIGTERM waits for responses on their way',
    shownDefault: '30',
    repeatable: false,
    json: ['number'],
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
    json: ['string'],
    fallback: () => 'info',
    rule: `one of ${logLevels.join(', ')}`,
    read: (texts) => lastText(texts, (text) => logLevels.find((level) => level === text)),
  },
};

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

function readBytes(text: string): number | undefined {
  const [, digits = '', unit = ''] = /^([0-9]{1,16})(KiB|MiB|GiB|TiB)?$/.exec(text) ?? [];
  const bytes = Number(digits) * (byteUnits.get(unit) ?? 1);
  return bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER ? bytes : undefined;
}

function readSwitch(text: string): boolean | undefined {
  if (text === '1' || text === 'true') return true;
  return text === '0' || text === 'false' ? false : undefined;
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
