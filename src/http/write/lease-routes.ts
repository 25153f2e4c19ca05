/** `/leases`: ranges that a process on this machine writes to by itself. @module */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { unsatisfiedContentRange } from '../../range/plan.ts';
import type { Catalog } from '../../region/catalog.ts';
import { longestTtl } from '../../region/change/leases.ts';
import type { Region } from '../../region/region.ts';
import type { ByteRange } from '../../relay/extent.ts';
import { endLeaseRoute, listLeasesRoute, renewLeaseRoute, takeLeaseRoute } from '../openapi/writing.ts';
import { ProblemError } from '../problem/problems.ts';
import { limitOf, linkNext, queryOf } from '../read/list-pages.ts';
import { patienceOf, tellWait } from './waiting.ts';
import { carryOut, type Writer } from './writer.ts';

const longestOwner = 100;

type Asked = { readonly region: string; readonly range: ByteRange; readonly ttl: number; readonly owner: string };

/** Adds `/leases` to a scope. */
export function addLeaseRoutes(scope: FastifyInstance, writer: Writer): void {
  const { successor } = writer;
  scope.post('/leases', { config: { openapi: takeLeaseRoute } }, (request, reply) => takeLease(writer, request, reply));
  scope.get('/leases', { config: { openapi: listLeasesRoute } }, (request, reply) =>
    successor.carryOut(request, reply, () => listLeases(writer, request, reply)),
  );
  scope.put<{ Params: { id: string } }>('/leases/:id', { config: { openapi: renewLeaseRoute } }, (request, reply) => {
    const renew = async () => reply.send(writer.leases.renew(request.params.id, ttlOf(objectOf(request.body))));
    return carryOut(writer, () => successor.carryOut(request, reply, renew));
  });
  scope.delete<{ Params: { id: string } }>('/leases/:id', { config: { openapi: endLeaseRoute } }, (request, reply) => {
    const release = async () => {
      writer.leases.release(request.params.id);
      return reply.code(204).send();
    };
    return carryOut(writer, () => successor.carryOut(request, reply, release));
  });
}

async function listLeases(writer: Writer, request: FastifyRequest, reply: FastifyReply) {
  const query = queryOf(request.query, ['limit', 'after']);
  const page = writer.leases.page(query.after ?? '', limitOf(query));
  linkNext(reply, query, page);
  return reply.send({ leases: page.items });
}

function takeLease(writer: Writer, request: FastifyRequest, reply: FastifyReply) {
  const { region, range, ttl, owner } = askedIn(request, writer.store.catalog);
  if (!writer.store.catalog.isOfTree(region)) throw new ProblemError('region-not-found');
  const take = async () => {
    // Nobody may be given a lease who can't end it.
    const patience = patienceOf(request, reply, 'is gone');
    tellWait(request, reply);
    const judge = (current: Region | undefined) => checkInside(range, current);
    const lease = await writer.leases.take({ name: region, judge, patience }, range, ttl, owner);
    // Nobody is there who could end it.
    if (patience.signal.aborted) writer.leases.release(lease.id);
    const address = request.url.split('?', 1)[0];
    return reply.code(201).header('location', `${address}/${lease.id}`).send(lease);
  };
  return carryOut(writer, () => writer.successor.carryOut(request, reply, take));
}

function askedIn(request: FastifyRequest, catalog: Catalog): Asked {
  const body = objectOf(request.body);
  const { region, first, last, owner } = body;
  if (typeof region !== 'string' || !catalog.accepts(region)) throw new ProblemError('bad-name');
  if (!isOffset(first) || !isOffset(last) || first > last) refuse('first and last must be offsets of bytes, inclusive');
  if (owner !== undefined && (typeof owner !== 'string' || owner.length > longestOwner)) {
    refuse(`owner must be a string of at most ${longestOwner} characters`);
  }
  const address = `${request.ip}:${request.socket.remotePort ?? 0}`;
  return {
    region,
    range: { first, last },
    ttl: ttlOf(body),
    owner: owner === undefined ? address : `${owner} ${address}`,
  };
}

function objectOf(body: unknown): Record<string, unknown> {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  return refuse('the body must be a JSON object');
}

function ttlOf({ ttlSeconds }: Record<string, unknown>): number {
  const isTtl = typeof ttlSeconds === 'number' && ttlSeconds > 0 && ttlSeconds <= longestTtl;
  return isTtl ? ttlSeconds : refuse(`ttlSeconds must be a number above 0, at most ${longestTtl}`);
}

function isOffset(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function refuse(detail: string): never {
  throw new ProblemError('bad-request', { detail });
}

function checkInside(range: ByteRange, region: Region | undefined): void {
  if (!region || range.last < region.content.generation.size) return;
  const { size } = region.content.generation;
  throw new ProblemError('range-not-satisfiable', { headers: { 'content-range': unsatisfiedContentRange(size) } });
}
