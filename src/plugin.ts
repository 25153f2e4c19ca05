/** pagerelay as a Fastify plugin. @module */
import { availableParallelism } from 'node:os';
import type { FastifyCorsOptions } from '@fastify/cors';
import type { FastifyInstance, FastifyReply } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { addCors, corsOptions } from './http/cors.ts';
import { tokenCheck } from './http/guard/bearer.ts';
import { addPageRoutes } from './http/page-routes.ts';
import { answerError } from './http/problem/errors.ts';
import { answerRegion } from './http/read/get-region.ts';
import { isFieldValue } from './http/read/given-fields.ts';
import type { GivenFields, RegionFields } from './http/read/region-headers.ts';
import { addRoutes } from './http/routes.ts';
import { boundSilence, hasBody } from './node/deadlines.ts';
import { reportMissing } from './node/feature-test.ts';
import { giveToLanes } from './node/lane-server.ts';
import { answerInTurn, hasTurn, itsTurn } from './node/turn.ts';
import { logOfLanes, watchRequest } from './observe/access-log.ts';
import { logEngines, logMeans, logRefused } from './observe/engine-log.ts';
import { isTraced } from './observe/tracing.ts';
import { type Express, type OpenOptions, openPagerelay, type Pagerelay } from './pagerelay.ts';
import type { NamedFile } from './region/catalog.ts';
import { type Dotfiles, dotfileRules } from './region/name.ts';
import { maxSeconds } from './region/within.ts';
import { parseAddressBlock } from './relay/address-block.ts';
import type { EngineChoice } from './relay/engine.ts';
import { NativeRelay } from './relay/native-relay.ts';
import { type Durability, durabilities } from './relay/overwriting.ts';

const http = process.getBuiltinModule('node:http');

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

declare module 'fastify' {
  interface FastifyInstance {
    /** What this scope's registration of pagerelay works with. */
    pagerelay: Pagerelay;
  }
  interface FastifyReply {
    /**
     * Answers with a region, or the part of it that the request asks for: 200, 206, 304. Fields that the reply has been
     * given stay, but for those that describe the body. The bytes go out without a copy where Fastify hands them
     * unchanged to a plain TCP connection, and as an ordinary stream through TLS, HTTP/2, `inject()` and hooks that
     * transform them.
     *
     * @param name a region name, not percent-encoded
     * @param fields in place of the plugin's
     * @throws ProblemError (with `code`, `statusCode`, `headers`): 403, 404, 412, 416, 503
     */
    sendRegion(name: string, fields?: RegionFields): Promise<FastifyReply>;
  }
}

async function register(app: FastifyInstance, options: PagerelayOptions): Promise<void> {
  const { cacheControl = false } = options;
  if (cacheControl !== false && !isFieldValue(cacheControl)) {
    throw new TypeError(`cacheControl: ${JSON.stringify(cacheControl)} is no value of a field`);
  }
  const opened = openPagerelay(openOptions(app, options));
  await opened.ready();
  if (opened.relay instanceof NativeRelay) logRefused(app.log, opened.relay.refused);
  logEngines(app.log, await opened.engines());
  logMeans(app.log, opened.writer?.store.tree.means);
  reportMissing(app.log, ['sending']);
  let deadline = 0;
  app.addHook('preClose', async () => {
    deadline = performance.now() + (options.drain ?? 30) * 1000;
    opened.publisher?.close();
    opened.digests.close();
  });
  if (opened.publisher) {
    app.addHook('onListen', async () => {
      const { server } = app;
      const guarded = options.express !== undefined && 'tokens' in options.express;
      const isPlain = server instanceof http.Server && (options.unaskable ?? []).length === 0;
      if (isPlain && opened.relay instanceof NativeRelay)
        giveToLanes(server, opened.relay, { guarded, ...logOfLanes(undefined) });
    });
  }
  app.addHook('onClose', () => opened.close(deadline));
  decorate(app, opened, pick(options));
  if (options.routes === false && !options.page) return;
  await app.register(async (scope) => addRegionRoutes(scope, opened, options), { prefix: options.prefix ?? '' });
}

/** Serves regions from a Fastify application. @see PagerelayOptions */
export const pagerelay = fastifyPlugin(register, { fastify: '5.x', name: 'pagerelay' });

/** Adds `app.pagerelay` and `reply.sendRegion` to a scope. */
export function decorate(app: FastifyInstance, opened: Pagerelay, fields: GivenFields): void {
  const usual = pick(fields);
  app.decorate('pagerelay', opened);
  app.decorateReply('regionBody', undefined);
  app.decorateReply('sendRegion', function (this: FastifyReply, name, given) {
    const answer = () => answerRegion(opened, this, name, given ? { ...usual, ...given } : usual);
    if (hasTurn(this.raw)) return answer();
    return itsTurn(this.raw).then((isHere) => (isHere ? answer() : this.hijack()));
  });
}

function addRegionRoutes(scope: FastifyInstance, opened: Pagerelay, options: PagerelayOptions): void {
  scope.setErrorHandler(answerError);
  scope.addHook('onRequest', (request, reply, done) => {
    watchRequest(request, reply, opened.metrics, undefined);
    if (hasBody(request.raw)) boundSilence(request.raw, options.bodyTimeout ?? 60, () => request.raw.destroy());
    done();
  });
  answerInTurn(scope);
  if (options.cors) addCors(scope, corsOptions(options.cors));
  if (options.routes !== false) addRoutes(scope, opened);
  if (options.page) addPageRoutes(scope, opened);
}

function openOptions(app: FastifyInstance, options: PagerelayOptions): OpenOptions {
  return {
    dir: options.dir,
    regions: options.regions ?? [],
    dotfiles: readDotfiles(options.dotfiles),
    portableEtags: options.portableEtags ?? false,
    engine: options.engine ?? 'auto',
    express: readExpress(options.express),
    copyBelow: options.copyBelow ?? 0,
    copyFirstBelow: options.copyFirstBelow ?? 0,
    lanes: options.lanes ?? Math.max(1, availableParallelism() - 1),
    maxHold: options.maxHold ?? 300,
    unaskable: (options.unaskable ?? []).map(readBlock),
    keepVersions: readKeepVersions(options.keepVersions),
    keepBytes: readKeepBytes(options.keepBytes),
    writable: options.writable ?? false,
    breakHolds: options.breakHolds,
    maxWait: options.maxWait ?? 30,
    maxPartial: options.maxPartial ?? 64 * 1024 * 1024,
    durability: readDurability(options.durability),
    maxDigestBytes: options.maxDigestBytes ?? 2 ** 30,
    maxBytes: options.maxBytes,
    report: (message, details) => app.log.warn(details, message),
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

function readDotfiles(given: string | undefined): Dotfiles | undefined {
  const rule = dotfileRules.find((each) => each === given);
  if (given !== undefined && !rule) throw new TypeError(`dotfiles: ${given} is neither allow nor deny`);
  return rule;
}

function readDurability(given = 'sync'): Durability {
  const mode = durabilities.find((each) => each === given);
  if (!mode) throw new TypeError(`durability: ${given} is none of ${durabilities.join(', ')}`);
  return mode;
}

function readKeepVersions(given = 0): number {
  if (typeof given === 'number' && given >= 0 && given <= maxSeconds) return given;
  throw new TypeError(`keepVersions: ${given} is no number of seconds from 0 to ${maxSeconds}`);
}

function readKeepBytes(given = 2 ** 30): number {
  if (Number.isSafeInteger(given) && given > 0) return given;
  throw new TypeError(`keepBytes: ${given} is no whole number of bytes from 1 to 2^53 - 1`);
}

function readBlock(text: string) {
  const block = parseAddressBlock(text);
  if (!block) throw new TypeError(`unaskable: ${text} is no address with a prefix length, such as 10.0.0.0/8`);
  return block;
}

/** What is chosen once for all regions. */
function pick({ contentType, cacheControl, contentDisposition, others, shared }: GivenFields): GivenFields {
  return { contentType, cacheControl, contentDisposition, others, shared };
}
