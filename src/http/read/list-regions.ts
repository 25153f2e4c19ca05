/** `GET /regions`. @module */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Listed } from '../../region/listing/listing.ts';
import { encodeName } from '../../region/name.ts';
import type { BackingEngine } from '../../relay/engine.ts';
import { SystemError } from '../../relay/relay.ts';
import type { Seen } from '../../relay/witness.ts';
import { ProblemError } from '../problem/problems.ts';
import { problemOfSystem } from '../problem/system-problems.ts';
import type { Routes } from '../routes.ts';
import { limitOf, linkNext, type Query, queryOf } from './list-pages.ts';
import { versionUrl } from './version-url.ts';

/** Answers with a page of regions. @throws ProblemError; SystemError */
export async function listRegions(routes: Routes, request: FastifyRequest, reply: FastifyReply) {
  const query = queryOf(request.query, ['limit', 'after', 'prefix']);
  const page = await regionsOf(routes, query);
  linkNext(reply, query, page);
  const engineOf = once((seen: Seen) => routes.outgoing.engineFor(seen));
  return { regions: page.items.map((listed) => describe(routes, listed, engineOf(listed.seen))) };
}

// What a single region is not found for is no answer to the question which ones there are.
async function regionsOf({ catalog }: Routes, query: Query) {
  const { after = '', prefix = '' } = query;
  try {
    return await catalog.list.page({ after, prefix, limit: limitOf(query) });
  } catch (error) {
    const problem = problemOfSystem(error);
    const isOfTree = error instanceof SystemError && problem instanceof ProblemError && problem.status < 500;
    throw isOfTree ? new ProblemError('internal', { cause: error }) : error;
  }
}

// Most regions of a page are on one device.
function once<Key, Value>(find: (key: Key) => Value): (key: Key) => Value {
  const found = new Map<Key, Value>();
  return (key) => {
    const value = found.get(key) ?? find(key);
    found.set(key, value);
    return value;
  };
}

function describe(routes: Routes, { node, pagesByNode, ...listed }: Listed, engineOf: BackingEngine) {
  const { backing, engine, copyFree, because } = engineOf;
  return {
    name: listed.name,
    size: listed.size,
    backing,
    engine,
    copyFree,
    engineBecause: because,
    contentType: listed.contentType,
    etag: listed.etag,
    versionUrl: `regions/${encodeName(listed.name)}${versionUrl(listed.etag)}`,
    node: node < 0 ? null : node,
    nodes: sharesOf(pagesByNode),
    ...writingOf(routes, listed),
  };
}

function writingOf({ writer }: Routes, { name, seen }: Pick<Listed, 'name' | 'seen'>) {
  if (!writer?.store.catalog.isOfTree(name)) return { writable: false, overwriteMeans: null };
  const { means } = writer.store.tree;
  return { writable: true, overwriteMeans: means?.backing === seen.backing ? means.means : 'wait' };
}

function sharesOf(counts: Readonly<Record<string, number>>): Record<string, number> {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, count / total]));
}
