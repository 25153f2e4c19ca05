/** Options of the plugin: what they are, and that they can be. @module */
import { availableParallelism } from 'node:os';
import type { FastifyCorsOptions } from '@fastify/cors';
import { tokenCheck } from './http/guard/bearer.ts';
import { isFieldValue } from './http/read/given-fields.ts';
import type { RegionFields } from './http/read/region-headers.ts';
import { limitRows, mostOfAny } from './limits/limits.ts';
import { isTraced } from './observe/tracing.ts';
import type { Express, OpenOptions } from './pagerelay.ts';
import type { NamedFile } from './region/catalog.ts';
import { type Dotfiles, dotfileRules } from './region/name.ts';
import { maxSeconds } from './region/within.ts';
import { parseAddressBlock } from './relay/address-block.ts';
import { type EngineChoice, engineChoices } from './relay/engine.ts';
import { maxLanes } from './relay/open-relay.ts';
import { type Durability, durabilities } from './relay/overwriting.ts';

/** Who may read what lanes answer by themselves: everybody, or who has one of these bearer tokens (RFC 6750). */
export type PluginExpress = { readonly access: 'public' } | { readonly tokens: readonly string[] };

/** Options of `app.register(pagerelay, options)`. Without `dir` and `regions` it serves a built-in region, `demo`. */
export type PagerelayOptions = {
  /** A tree of regions: each file below it, by its path. */
  readonly dir?: string;
  /**
   * Whether names may have segments that begin with a dot, such as `.git/config`. With `deny` such files are neither
   * served, listed nor made. Default `allow`.
   */
  readonly dotfiles?: Dotfiles;
  /** Single files or devices under names of their own. A name that is also a file of `dir` is an error. */
  readonly regions?: readonly NamedFile[];
  /**
   * Adds `GET /regions`, `/regions/NAME`, `/references` and `/metrics`. Default true; `reply.sendRegion` is there in
   * any case. `/references` and `/metrics` tell of every reader: leave the routes out, or guard them, where strangers
   * can ask.
   */
  readonly routes?: boolean;
  /**
   * Adds the page to watch: `/`, `/page/…` and the live stream `/page/live`, which tells of every reader. Default false.
   */
  readonly page?: boolean;
  /** What the addresses of these routes begin with. Default none. */
  readonly prefix?: string;
  /**
   * Whether the entity-tags of files that others made are told by size and mtime alone, so that equal copies on several
   * machines have equal ones (docs/writing.md has the price). Default false.
   */
  readonly portableEtags?: boolean;
  /** How bytes reach the socket. Default `auto`. */
  readonly engine?: EngineChoice;
  /**
   * Has lanes accept the connections of the application's server and answer requests for the plugin's own route by
   * themselves, without the application's hooks hearing of them (docs/express.md): to everybody (`access: 'public'`), or
   * to who has one of these bearer tokens. Everything else goes to the application. Default: they answer nothing. Only
   * over plain HTTP/1.
   */
  readonly express?: PluginExpress;
  /**
   * How often one address may ask a second, and how often at once after a while (docs/operations.md); beyond, it is
   * answered 429. For the plugin's own routes, and with `express` for all requests that lanes read. Default: any number of
   * times; twice `requestsPerSecond`.
   */
  readonly requestsPerSecond?: number;
  readonly requestBurst?: number;
  /** How many ranges of one request are answered one by one; more by the whole region. From 1 to 64, the default. */
  readonly maxRanges?: number;
  /** Bytes: shorter bodies are copied. Default 0. */
  readonly copyBelow?: number;
  /** Bytes: shorter bodies are copied by lanes that are the first on their connections. Default 0. */
  readonly copyFirstBelow?: number;
  /** Native threads. Default cores - 1, at least 1. */
  readonly lanes?: number;
  /** Seconds: a response that makes no progress for so long is broken off. Default 300. */
  readonly maxHold?: number;
  /** Seconds that `app.close()` waits, after the last connection, for readers that have not read. Default 30. */
  readonly drain?: number;
  /** Peers that may be in this kernel, out of its sight, as `10.0.0.0/8`: they get copies. Default none. */
  readonly unaskable?: readonly string[];
  /**
   * Seconds that a version goes on being served under its own URL after the region was replaced (docs/writing.md).
   * At most 2,147,483. Default 0: not at all.
   */
  readonly keepVersions?: number;
  /** Bytes that the versions which were replaced have together at most: a whole number from 1 on. Default 1 GiB. */
  readonly keepBytes?: number;
  /**
   * Whether the regions of `dir` can be changed, by the plugin's own routes: PUT, PATCH, DELETE, and leases. Default
   * false. Who may do so is up to the application's own hooks.
   */
  readonly writable?: boolean;
  /** Seconds that a waiting writer lets a response cost before it is broken off. Default 30. */
  readonly breakHolds?: number;
  /** Seconds that the body of a request to the plugin's own routes may bring no byte before it is broken off. Default 60. */
  readonly bodyTimeout?: number;
  /** Seconds that a reader waits for a lease or a writer before it is answered 503. Default 30. */
  readonly maxWait?: number;
  /** Bytes: the largest overwrite in place. Default 64 MiB. */
  readonly maxPartial?: number;
  /**
   * When the bytes of an overwrite in place are on their medium: when it is answered, by a flush of its own (`sync`) or by
   * one for all that come together (`group`); or whenever the kernel writes them (`none`). docs/writing.md tells what each
   * can lose. Default `sync`.
   */
  readonly durability?: Durability;
  /** Bytes: the largest region whose digest is computed when it is asked for. Default 1 GiB. */
  readonly maxDigestBytes?: number;
  /** Bytes that the regions of `dir` may have in all. Default no quota. */
  readonly maxBytes?: number;
  /** Cross-origin requests (`@fastify/cors`) for these routes; `true` allows every origin. Default off. */
  readonly cors?: boolean | FastifyCorsOptions;
} & Omit<RegionFields, 'version'>;

/** Which numbers an option may be. */
type Kind = { readonly is: (value: number) => boolean; readonly rule: string };

const seconds: Kind = {
  is: (value) => value >= 0 && value <= maxSeconds,
  rule: `a number of seconds from 0 to ${maxSeconds}`,
};
const secondsAboveZero: Kind = {
  is: (value) => value > 0 && value <= maxSeconds,
  rule: `a number of seconds above 0, at most ${maxSeconds}`,
};
const bytes: Kind = {
  is: (value) => Number.isSafeInteger(value) && value >= 1,
  rule: 'a whole number of bytes from 1 to 2^53 - 1',
};
const bytesOrNone: Kind = {
  is: (value) => value === 0 || bytes.is(value),
  rule: 'a whole number of bytes from 0 to 2^53 - 1',
};
const wholeFrom = (least: number, most: number): Kind => ({
  is: (value) => Number.isInteger(value) && value >= least && value <= most,
  rule: `a whole number from ${least} to ${most}`,
});

const threads = wholeFrom(1, maxLanes);

const kinds = {
  copyBelow: bytesOrNone,
  copyFirstBelow: bytesOrNone,
  lanes: threads,
  maxHold: secondsAboveZero,
  drain: seconds,
  keepVersions: seconds,
  keepBytes: bytes,
  breakHolds: secondsAboveZero,
  bodyTimeout: secondsAboveZero,
  maxWait: seconds,
  maxPartial: bytes,
  maxDigestBytes: bytesOrNone,
  maxBytes: bytes,
  ...kindsOfLimits(),
} satisfies { readonly [Name in keyof PagerelayOptions]: Kind };

/** Those of the table of limits that are options here; all of these are counts. */
function kindsOfLimits(): Record<string, Kind> {
  const own = limitRows.filter(([, { inPlugin }]) => inPlugin);
  return Object.fromEntries(own.map(([name, { least = 0, most = mostOfAny }]) => [name, wholeFrom(least, most)]));
}

/**
 * Checks the numbers that were given, and what stands in the fields of answers.
 *
 * @throws TypeError that names the option, what was given and what it may be
 */
export function checkOptions(options: PagerelayOptions): void {
  for (const [name, kind] of Object.entries(kinds)) {
    const given: unknown = options[name as keyof typeof kinds];
    if (given === undefined || (typeof given === 'number' && kind.is(given))) continue;
    throw new TypeError(`${name}: ${given} is not ${kind.rule}`);
  }
  const { cacheControl = false } = options;
  if (cacheControl !== false && !isFieldValue(cacheControl)) {
    throw new TypeError(`cacheControl: ${JSON.stringify(cacheControl)} is no value of a field`);
  }
}

/** What a relay and its catalog are opened with. @throws TypeError */
export function openOptions(options: PagerelayOptions, report: OpenOptions['report']): OpenOptions {
  return {
    dir: options.dir,
    regions: options.regions ?? [],
    dotfiles: options.dotfiles && oneOf('dotfiles', options.dotfiles, dotfileRules),
    portableEtags: options.portableEtags ?? false,
    engine: oneOf('engine', options.engine ?? 'auto', engineChoices),
    express: readExpress(options.express),
    copyBelow: options.copyBelow ?? 0,
    copyFirstBelow: options.copyFirstBelow ?? 0,
    lanes: options.lanes ?? Math.max(1, availableParallelism() - 1),
    maxHold: options.maxHold ?? 300,
    unaskable: (options.unaskable ?? []).map(readBlock),
    keepVersions: options.keepVersions ?? 0,
    keepBytes: options.keepBytes ?? 2 ** 30,
    writable: options.writable ?? false,
    breakHolds: options.breakHolds,
    maxWait: options.maxWait ?? 30,
    maxPartial: options.maxPartial ?? 64 * 1024 * 1024,
    durability: oneOf('durability', options.durability ?? 'sync', durabilities),
    maxDigestBytes: options.maxDigestBytes ?? 2 ** 30,
    maxBytes: options.maxBytes,
    report,
  };
}

// Lanes tell of no step of a transmission, so they answer nothing while somebody listens for these.
function readExpress(given: PluginExpress | undefined): Express | undefined {
  const express = given === undefined ? undefined : { mayRead: readingBy(given) };
  return isTraced() ? undefined : express;
}

function readingBy(given: PluginExpress): Express['mayRead'] {
  const { access, tokens, ...others } = Object(given) as { access?: unknown; tokens?: unknown };
  const isAlone = Object.keys(others).length === 0;
  if (isAlone && access === 'public' && tokens === undefined) return undefined;
  const isList = Array.isArray(tokens) && tokens.length > 0 && tokens.every((token) => typeof token === 'string');
  if (isAlone && isList && access === undefined) return tokenCheck(tokens);
  throw new TypeError("express: who may read is to be said, by { access: 'public' } or { tokens: [...] }");
}

function oneOf<Value extends string>(name: keyof PagerelayOptions, given: string, values: readonly Value[]): Value {
  const value = values.find((each) => each === given);
  if (value === undefined) throw new TypeError(`${name}: ${given} is none of ${values.join(', ')}`);
  return value;
}

function readBlock(text: string) {
  const block = parseAddressBlock(text);
  if (!block) throw new TypeError(`unaskable: ${text} is no address with a prefix length, such as 10.0.0.0/8`);
  return block;
}
