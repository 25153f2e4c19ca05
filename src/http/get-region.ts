/**
 * The way of one request: which region, judged how, held, sent. The reference that `outgoing` takes goes when nobody
 * can see a change to its pages any more, long after this returns.
 *
 * @module
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Catalog } from '../region/catalog.ts';
import { itsTurn } from '../relay/turn.ts';
import { judge } from './judge.ts';
import { regionName } from './name-of-request.ts';
import { answerContent, answerNotModified, answerWithoutBody, type Outgoing } from './outgoing.ts';
import { ProblemError } from './problems.ts';
import { problemOfSystem } from './system-problems.ts';

/** A region that others keep changing is judged again so often. */
const mostJudgements = 5;

/** What the handlers of regions work with. */
export type RegionService = { readonly catalog: Catalog; readonly outgoing: Outgoing };

/** `GET` and `HEAD /regions/NAME`: 200, 206, 304, 403, 404, 412, 416, 503. */
export async function getRegion(service: RegionService, request: FastifyRequest, reply: FastifyReply) {
  if (!(await itsTurn(reply.raw))) return reply.hijack();
  const name = regionName(request.url);
  try {
    for (let judgement = 0; judgement < mostJudgements; judgement++) {
      const region = service.catalog.find(name);
      const verdict = judge(request.method, request.headers, region, new Date());
      if (verdict.kind === 'not-modified') return answerNotModified(reply, region);
      if (request.method === 'HEAD' || verdict.plan.length === 0) return answerWithoutBody(reply, region, verdict.plan);
      const held = service.outgoing.hold(request, region, verdict.plan);
      if (held) return answerContent(service.outgoing, reply, held);
    }
  } catch (error) {
    throw problemOfSystem(error);
  }
  throw new ProblemError('region-unstable');
}
