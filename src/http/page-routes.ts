/** The page to watch, and what it shows. @module */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Metrics } from '../observe/metrics.ts';
import { type Asset, readAssets } from '../page/assets.ts';
import { Feed } from '../page/feed.ts';
import { Snapshots } from '../page/snapshot.ts';
import type { Catalog } from '../region/catalog.ts';
import type { Relay } from '../relay/relay.ts';
import { assetRoute, liveRoute } from './openapi/page.ts';
import { ProblemError } from './problem/problems.ts';
import { answerFixed, fixedOf } from './read/fixed.ts';
import type { Outgoing } from './read/outgoing.ts';
import { refuseOtherMethods } from './routes.ts';
import type { Writer } from './write/writer.ts';

const livePath = '/page/live';

// Nothing from elsewhere, nothing inline, no exceptions: region names and addresses of peers are strangers' words.
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const safety = {
  'content-security-policy': contentSecurityPolicy,
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

const readable = ['GET', 'HEAD'];

/** What the page tells of. */
export type Watched = {
  readonly relay: Relay;
  readonly catalog: Catalog;
  readonly outgoing: Outgoing;
  readonly metrics: Metrics;
  /** Undefined where nothing can be changed. */
  readonly writer: Writer | undefined;
};

/**
 * Adds the page: `/`, its files under `/page/`, and `/page/live`, which tells of every reader and is all that has to be
 * guarded.
 *
 * @returns what feeds it, which ends with the application
 */
export function addPageRoutes(scope: FastifyInstance, { relay, catalog, outgoing, metrics, writer }: Watched): Feed {
  const snapshots = new Snapshots({
    relay,
    catalog,
    limited: (now) => metrics.limited(now),
    engineOf: (region) => outgoing.engineOf(region).engine,
    leases: () => writer?.leases.list() ?? [],
  });
  const take = async () => ({ still: await snapshots.take(), moving: () => ({ threads: snapshots.threads() }) });
  const feed = new Feed(take, (err) => scope.log.warn({ err }, 'the page could not be fed'));
  const assets = readAssets();
  for (const asset of assets) addAsset(scope, asset);
  scope.route({
    method: readable,
    url: livePath,
    config: { openapi: liveRoute },
    handler: (request, reply) => answerLive(feed, request, reply),
  });
  refuseOthers(scope, [...assets.map(({ path }) => `/${path}`), livePath]);
  scope.addHook('preClose', async () => feed.close());
  return feed;
}

function addAsset(scope: FastifyInstance, asset: Asset): void {
  const url = `/${asset.path}`;
  const fixed = fixedOf(asset.contentType, asset.body);
  scope.route({
    method: readable,
    url,
    // Below a prefix, the addresses in the page are relative to the slash.
    prefixTrailingSlash: 'slash',
    config: { openapi: assetRoute(asset) },
    handler: async (request, reply) => answerFixed(fixed, request, reply.headers(safety)),
  });
}

// Once for all files: each route of each of thirty methods takes time at every start.
function refuseOthers(scope: FastifyInstance, paths: readonly string[]): void {
  const known = new Set(paths);
  refuseOtherMethods(scope, '/');
  refuseOtherMethods(scope, '/page/:file', undefined, ({ params }) => {
    return known.has(`/page/${(params as { file: string }).file}`);
  });
}

async function answerLive(feed: Feed, request: FastifyRequest, reply: FastifyReply) {
  // Proxies that gather a response before they pass it on are told not to (nginx).
  const fields = { 'cache-control': 'no-store', 'x-accel-buffering': 'no', 'x-content-type-options': 'nosniff' };
  if (request.method === 'HEAD') return reply.headers(fields).type('text/event-stream').send(Readable.from([]));
  const viewer = feed.join();
  if (!viewer) throw new ProblemError('busy', { detail: 'Too many watch already.' });
  return reply.headers(fields).type('text/event-stream').send(viewer);
}
