/** The options of `pagerelay serve`: their names, defaults and rules. @module */
import { availableParallelism } from 'node:os';
import { isOrigin } from '../http/cors.ts';
import { isAllowable } from '../http/guard/allowed-hosts.ts';
import { type GivenField, isFieldValue, ownFields, readField } from '../http/read/given-fields.ts';
import { type AccessLogFormat, accessLogFormats } from '../observe/access-log.ts';
import type { NamedFile } from '../region/catalog.ts';
import { type Dotfiles, dotfileRules, isRegionName } from '../region/name.ts';
import { type AddressBlock, parseAddressBlock } from '../relay/address-block.ts';
import type { EngineChoice } from '../relay/engine.ts';
import { engines as everyEngine } from '../relay/relay.ts';
import {
  bytes,
  bytesOrNone,
  type Flag,
  many,
  one,
  oneOf,
  onePath,
  onOff,
  readPath,
  seconds,
  secondsAboveZero,
  whole,
} from './flag-kinds.ts';
import { socketPathOf } from './listen.ts';

const engines: readonly EngineChoice[] = ['auto', ...everyEngine];
const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const maxLanes = 256;
const longestSocketPath = 107; // struct sockaddr_un, with a NUL behind it

/** The least severe messages that are logged. */
export type LogLevel = (typeof logLevels)[number];

/** What `pagerelay serve` runs with. */
export type ServeOptions = {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Of a unix socket; undefined: as the umask has it. */
  readonly socketMode: number | undefined;
  readonly dir: string | undefined;
  /** Whether names may have segments that begin with a dot. */
  readonly dotfiles: Dotfiles;
  /** Whether regions of `dir` can be made, changed and deleted. */
  readonly writable: boolean;
  /** By which hosts a service on the loopback may be asked beside those of the loopback; `*` is any. */
  readonly allowHosts: readonly string[];
  /** Origins whose pages may read regions; `*` is any. */
  readonly cors: readonly string[];
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
  /** Undefined: as many as there are descriptors for. */
  readonly maxConnections: number | undefined;
  /** Seconds, with fractions. */
  readonly maxWait: number;
  /** Bytes. */
  readonly maxPartial: number;
  /** Bytes; undefined: no quota. */
  readonly maxBytes: number | undefined;
  /** Seconds, with fractions. */
  readonly drain: number;
  readonly logLevel: LogLevel;
  /** A path, `-` for standard output, or `off`. */
  readonly accessLog: string;
  readonly accessLogFormat: AccessLogFormat;
  /** Bytes: the largest region whose digest is computed. */
  readonly maxDigestBytes: number;
  /** Cache-Control of every answer of a region. */
  readonly cacheControl: string;
  /** Other fields of every answer of a region. */
  readonly headers: readonly GivenField[];
};

/** The flag of each option. */
export type Flags = { readonly [Key in keyof ServeOptions]: Flag<ServeOptions[Key]> };
/** What the reading of sources needs to know of a flag. */
export type AnyFlag = Omit<Flags[keyof Flags], 'read' | 'fallback'>;

const files = many({
  placeholder: 'NAME=PATH',
  rule: 'NAME=PATH with a region name that is given once and a path that is not empty',
  read: readRegion,
});

/** In the order of usage text. */
export const flags: Flags = {
  host: {
    flag: 'host',
    meaning: 'address to listen on, or unix:PATH for a unix socket',
    ...one(
      {
        placeholder: 'HOST',
        rule: `a host name, an address, or unix: and a path of at most ${longestSocketPath} bytes`,
        read: readHost,
      },
      '127.0.0.1',
    ),
  },
  port: {
    flag: 'port',
    meaning: 'port to listen on; 0 picks one',
    ...whole('PORT', 0, 65_535, 8080),
  },
  socketMode: {
    flag: 'socket-mode',
    meaning: 'who may connect to a unix socket',
    ...one<number | undefined>({ placeholder: 'MODE', rule: 'an octal mode such as 660', read: readMode }, undefined),
    shownDefault: 'as the umask has it',
  },
  dir: {
    flag: 'dir',
    meaning: 'a tree of regions',
    ...onePath,
  },
  dotfiles: {
    flag: 'dotfiles',
    meaning: 'whether names may have segments that begin with a dot: allow or deny',
    ...oneOf('RULE', dotfileRules, 'allow'),
  },
  writable: {
    flag: 'writable',
    meaning: 'allow regions of --dir to be made, changed and deleted',
    ...onOff,
  },
  allowHosts: {
    flag: 'allow-host',
    meaning: 'another host that a service on the loopback answers to, with or without a port; * is any',
    ...many({
      placeholder: 'NAME',
      rule: 'a host with or without a port, such as files.example or [fd00::1]:8080, or *',
      read: (text) => (isAllowable(text) ? text : undefined),
    }),
  },
  cors: {
    flag: 'cors',
    meaning: 'an origin whose pages may read regions; * is any',
    ...many({
      placeholder: 'ORIGIN',
      rule: 'an origin as browsers name it, such as https://app.example:8443, or *',
      read: (text) => (isOrigin(text) ? text : undefined),
    }),
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
    meaning: 'one file or device, served in place',
    ...files,
    read: (texts) => withDifferentNames(files.read(texts)),
  },
  portableEtags: {
    flag: 'portable-etags',
    meaning: 'tell files that others made apart by size and mtime alone: for equal copies on several machines',
    ...onOff,
  },
  maxDigestBytes: {
    flag: 'max-digest-bytes',
    meaning: 'the largest region whose digest is computed when it is asked for; 0: none is',
    ...bytesOrNone('1GiB', 2 ** 30),
  },
  cacheControl: {
    flag: 'cache-control',
    meaning: 'Cache-Control of every answer of a region',
    ...one(
      {
        placeholder: 'VALUE',
        rule: 'a field value of visible ASCII characters, with spaces only between them',
        read: (text) => (isFieldValue(text) ? text : undefined),
      },
      'no-cache',
    ),
  },
  headers: {
    flag: 'header',
    meaning: 'a field that every answer of a region has as well',
    ...many({
      placeholder: 'NAME:VALUE',
      rule: `a field name, a colon and a value of visible ASCII characters, other than ${[...ownFields].join(', ')}`,
      read: readField,
    }),
    separator: '\n',
  },
  engine: {
    flag: 'engine',
    meaning: 'how bytes reach the socket',
    ...oneOf('ENGINE', engines, 'auto'),
  },
  noExpress: {
    flag: 'no-express',
    meaning: 'answer every request in Node: lanes accept no connections and read no requests',
    ...onOff,
  },
  copyBelow: {
    flag: 'copy-below',
    meaning: 'copy bodies that are shorter',
    ...bytesOrNone('0', 0),
  },
  lanes: {
    flag: 'lanes',
    meaning: 'native threads that carry responses',
    ...whole('N', 1, maxLanes, Math.min(maxLanes, Math.max(1, availableParallelism() - 1))),
    shownDefault: 'cores - 1',
  },
  unaskable: {
    flag: 'unaskable',
    meaning: 'peers that this kernel may hold out of sight, such as containers behind NAT',
    ...many({
      placeholder: 'CIDR',
      rule: 'an IPv4 or IPv6 address with a prefix length, such as 10.0.0.0/8 or fd00::/8',
      read: parseAddressBlock,
    }),
  },
  maxHold: {
    flag: 'max-hold',
    meaning: 'how long a response may make no progress before it is broken off',
    ...secondsAboveZero(300),
  },
  breakHolds: {
    flag: 'break-holds',
    meaning: 'how long a writer waits for an older response before that is broken off',
    ...secondsAboveZero(30),
  },
  maxConnections: {
    flag: 'max-connections',
    meaning: 'how many connections may be open; beyond, the one closes that was idle longest',
    ...whole('N', 1, 999_999_999, undefined),
    shownDefault: 'as many as there are descriptors for',
  },
  bodyTimeout: {
    flag: 'body-timeout',
    meaning: 'how long the body of a request may bring no byte before the connection is closed',
    ...secondsAboveZero(60),
  },
  maxWait: {
    flag: 'max-wait',
    meaning: 'how long a reader waits for a lease or a writer before it is refused',
    ...seconds(30),
  },
  maxPartial: {
    flag: 'max-partial',
    meaning: 'the largest overwrite in place',
    ...bytes('64MiB', 64 * 2 ** 20),
  },
  maxBytes: {
    flag: 'max-bytes',
    meaning: 'what all regions of --dir may take up together',
    ...bytes('none', undefined),
  },
  drain: {
    flag: 'drain',
    meaning: 'how long SIGTERM waits for responses on their way',
    ...seconds(30),
  },
  logLevel: {
    flag: 'log-level',
    meaning: 'the least severe messages to log',
    ...oneOf('LEVEL', logLevels, 'info'),
  },
  accessLog: {
    flag: 'access-log',
    meaning: 'where a line for each request goes: a file, - for standard output, or off',
    ...one({ placeholder: 'PATH', rule: '-, off, or a path that is not empty', read: readPath }, '-'),
  },
  accessLogFormat: {
    flag: 'access-log-format',
    meaning: 'how these lines are written: json or combined',
    ...oneOf('FORMAT', accessLogFormats, 'json'),
  },
};

function readHost(text: string): string | undefined {
  const path = socketPathOf(text);
  if (path === undefined) return /^[^\s/]+$/.test(text) ? text : undefined;
  const isPath = path !== '' && !path.includes('\0') && Buffer.byteLength(path) <= longestSocketPath;
  return isPath ? text : undefined;
}

function readMode(text: string): number | undefined {
  return /^0?[0-7]{3}$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

function withDifferentNames(regions: readonly NamedFile[] | undefined): readonly NamedFile[] | undefined {
  const names = new Set(regions?.map(({ name }) => name));
  return names.size === regions?.length ? regions : undefined;
}

function readRegion(text: string): NamedFile | undefined {
  const [name = '', ...rest] = text.split('=');
  const path = readPath(rest.join('='));
  return path !== undefined && isRegionName(name) ? { name, path } : undefined;
}
