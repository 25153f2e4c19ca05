/** `GET /regions`. @module */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Listed } from '../region/listing/listing.ts';
import { SystemError } from '../relay/relay.ts';
import { limitOf, linkNext, type Query, queryOf } from './list-pages.ts';
import { ProblemError } from './problems.ts';
import type { Routes } from './routes.ts';
import { problemOfSystem } from './system-problems.ts';

/** Answers with a page of regions. @throws ProblemError; SystemError */
export async function listRegions(routes: Routes, request: FastifyRequest, reply: FastifyReply) {
  const query = queryOf(request.query, ['limit', 'after', 'prefix']);
  const page = await regionsOf(routes, query);
  linkNext(reply, query, page);
  return { regions: page.items.map((listed) => describe(routes, listed)) };
}

// What a single region is not found for is no answer to the question which ones there are.
async function regionsOf({ catalog }: Routes, query: Query) {
  const { after = '', prefix = '' } = query;
  try {
    return await catalog.page({ after, prefix, limit: limitOf(query) });
  } catch (error) {
    const problem = problemOfSystem(error);
    const isOfTree = error instanceof SystemError && problem instanceof ProblemError && problem.status < 500;
    throw isOfTree ? new ProblemError('internal', { cause: error }) : error;
  }
}

function describe(routes: Routes, { seen, node, pagesByNode, ...listed }: Listed) {
  const { backing, engine, copyFree, because } = routes.outgoing.engineFor(seen);
  return {
    name: listed.name,
    size: listed.size,
    backing,
    engine,
    copyFree,
    engineBecause: because,
    contentType: listed.contentType,
    etag: listed.etag,
    node: node < 0 ? null : node,
    nodes: sharesOf(pagesByNode),
    writable: routes.writer?.store.catalog.isOfTree(listed.name) ?? false,
  };
}

function sharesOf(counts: Readonly<Record<string, number>>): Record<string, number> {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, count / total]));
}
