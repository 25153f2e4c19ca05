/** The options of `pagerelay serve`: their names, defaults and rules. @module */
import { availableParallelism } from 'node:os';
import { isOrigin } from '../http/cors.ts';
import { isAllowable } from '../http/guard/allowed-hosts.ts';
import { parseTrustedProxy } from '../http/guard/trusted-proxies.ts';
import { isFieldValue, ownFields, readField } from '../http/read/given-fields.ts';
import { accessLogFormats } from '../observe/access-log.ts';
import type { NamedFile } from '../region/catalog.ts';
import { dotfileRules, isRegionName } from '../region/name.ts';
import { parseAddressBlock } from '../relay/address-block.ts';
import { engineChoices } from '../relay/engine.ts';
import { maxLanes } from '../relay/open-relay.ts';
import { durabilities } from '../relay/overwriting.ts';
import {
  bytes,
  bytesOrNone,
  type Flag,
  many,
  named,
  one,
  oneOf,
  onePath,
  onOff,
  readPath,
  seconds,
  secondsAboveZero,
  whole,
} from './flag-kinds.ts';
import { limitFlags } from './limit-flags.ts';
import { isSocketPath, listenRule, readListen, socketPathOf, socketPathRule } from './listen-flag.ts';

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** What `pagerelay serve` runs with: the value of each flag. Times in seconds. */
export type ServeOptions = {
  readonly [Key in keyof typeof flags]: (typeof flags)[Key] extends Flag<infer Value> ? Value : never;
};

const host = {
  placeholder: 'HOST',
  rule: `a host name, an address, or unix: and a path of ${socketPathRule}`,
  read: readHost,
};

const listen = {
  ...many({ placeholder: 'WHERE', rule: listenRule, read: readListen }),
  separator: /\s+/,
};

const socketMode = {
  ...one<number | undefined>({ placeholder: 'MODE', rule: 'an octal mode such as 660', read: readMode }, undefined),
  shownDefault: 'as the umask has it',
};

const allowedHosts = many({
  placeholder: 'NAME',
  rule: 'a host with or without a port, such as files.example or [fd00::1]:8080, or *',
  read: (text) => (isAllowable(text) ? text : undefined),
});

const origins = many({
  placeholder: 'ORIGIN',
  rule: 'an origin as browsers name it, such as https://app.example:8443, or *',
  read: (text) => (isOrigin(text) ? text : undefined),
});

const files = many({
  placeholder: 'NAME=PATH',
  rule: 'NAME=PATH with a region name that is given once and a path that is not empty',
  read: readRegion,
});

const fieldValue = {
  placeholder: 'VALUE',
  rule: 'a field value of visible ASCII characters, with spaces only between them',
  read: (text: string) => (isFieldValue(text) ? text : undefined),
};

const fields = {
  ...many({
    placeholder: 'NAME:VALUE',
    rule: `a field name, a colon and a value of visible ASCII characters, other than ${[...ownFields].join(', ')}`,
    read: readField,
  }),
  separator: '\n',
};

const lanes = {
  ...whole('N', 1, maxLanes, Math.min(maxLanes, Math.max(1, availableParallelism() - 1))),
  shownDefault: 'cores - 1',
};

const trustedProxies = many({
  placeholder: 'CIDR',
  rule: 'an address with a prefix length, such as 10.0.0.0/8 or fd00::/8, or unix:',
  read: parseTrustedProxy,
});

const addressBlocks = many({
  placeholder: 'CIDR',
  rule: 'an IPv4 or IPv6 address with a prefix length, such as 10.0.0.0/8 or fd00::/8',
  read: parseAddressBlock,
});

const logFile = one({ placeholder: 'PATH', rule: '-, off, or a path that is not empty', read: readPath }, '-');

/** The flag of each option, in the order of usage text. */
export const flags = {
  host: named('host', 'address to listen on, or unix:PATH for a unix socket', one(host, '127.0.0.1')),
  port: named('port', 'port to listen on; 0 picks one', whole('PORT', 0, 65_535, 8080)),
  listen: named(
    'listen',
    'where to listen, in place of --host and --port: HOST:PORT, unix:PATH or fd:N, with ,device=NAME ,node=N ,proxy',
    listen,
  ),
  adminListen: named(
    'admin-listen',
    'where all but regions is served, and no more at the other places: metrics, references, leases, the page',
    listen,
  ),
  socketMode: named('socket-mode', 'who may connect to a unix socket', socketMode),
  dir: named('dir', 'a tree of regions', onePath),
  dotfiles: named(
    'dotfiles',
    'whether names may have segments that begin with a dot: allow or deny',
    oneOf('RULE', dotfileRules, 'allow'),
  ),
  writable: named('writable', 'allow regions of --dir to be made, changed and deleted', onOff),
  trustedProxies: named(
    'trusted-proxy',
    'proxies that say for whom they ask, by X-Forwarded-For and the PROXY protocol; unix: is all by unix sockets',
    trustedProxies,
  ),
  allowHosts: named(
    'allow-host',
    'another host that a service on the loopback answers to, with or without a port; * is any',
    allowedHosts,
  ),
  cors: named('cors', 'an origin whose pages may read regions; * is any', origins),
  writeTokenFile: named('write-token-file', 'bearer tokens of those who may write, one a line', onePath),
  readTokenFile: named('read-token-file', 'bearer tokens of those who may read, one a line', onePath),
  regions: named('region', 'one file or device, served in place', {
    ...files,
    read: (texts) => withDifferentNames(files.read(texts)),
  }),
  portableEtags: named(
    'portable-etags',
    'tell files that others made apart by size and mtime alone: for equal copies on several machines',
    onOff,
  ),
  keepVersions: named(
    'keep-versions',
    'how long a version is still served under its own URL after the region was replaced',
    seconds(0),
  ),
  keepBytes: named('keep-bytes', 'what all versions that were replaced take up together', bytes('1GiB', 2 ** 30)),
  maxDigestBytes: named(
    'max-digest-bytes',
    'the largest region whose digest is computed when it is asked for; 0: none is',
    bytesOrNone('1GiB', 2 ** 30),
  ),
  cacheControl: named('cache-control', 'Cache-Control of every answer of a region', one(fieldValue, 'no-cache')),
  headers: named('header', 'a field that every answer of a region has as well', fields),
  engine: named('engine', 'how bytes reach the socket', oneOf('ENGINE', engineChoices, 'auto')),
  noExpress: named(
    'no-express',
    'answer every request in Node: lanes accept no connections and read no requests',
    onOff,
  ),
  copyBelow: named('copy-below', 'copy bodies that are shorter', bytesOrNone('0', 0)),
  copyFirstBelow: named(
    'copy-first-below',
    'copy the first body of a connection where it is shorter',
    bytesOrNone('0', 0),
  ),
  lanes: named('lanes', 'native threads that carry responses', lanes),
  unaskable: named(
    'unaskable',
    'peers that this kernel may hold out of sight, such as containers behind NAT',
    addressBlocks,
  ),
  maxHold: named('max-hold', 'how long a response may make no progress before it is broken off', secondsAboveZero(300)),
  breakHolds: named(
    'break-holds',
    'how long a writer waits for an older response before that is broken off',
    secondsAboveZero(30),
  ),
  ...limitFlags,
  bodyTimeout: named(
    'body-timeout',
    'how long the body of a request may bring no byte before the connection is closed',
    secondsAboveZero(60),
  ),
  maxWait: named('max-wait', 'how long a reader waits for a lease or a writer before it is refused', seconds(30)),
  maxPartial: named('max-partial', 'the largest overwrite in place', bytes('64MiB', 64 * 2 ** 20)),
  durability: named(
    'durability',
    'when an overwrite in place is on its medium: sync, group (one flush for those that come together) or none',
    oneOf('MODE', durabilities, 'sync'),
  ),
  maxBytes: named('max-bytes', 'what all regions of --dir may take up together', bytes('none', undefined)),
  drain: named('drain', 'how long SIGTERM waits for responses on their way', seconds(30)),
  logLevel: named('log-level', 'the least severe messages to log', oneOf('LEVEL', logLevels, 'info')),
  accessLog: named('access-log', 'where a line for each request goes: a file, - for standard output, or off', logFile),
  accessLogFormat: named(
    'access-log-format',
    'how these lines are written: json or combined',
    oneOf('FORMAT', accessLogFormats, 'json'),
  ),
};

function readHost(text: string): string | undefined {
  const path = socketPathOf(text);
  const isRight = path === undefined ? /^[^\s/]+$/.test(text) : isSocketPath(path);
  return isRight ? text : undefined;
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
