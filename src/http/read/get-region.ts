/**
 * The way of one request: which region, judged how, held, sent. The reference that `hold` takes goes when nobody can
 * see a change to its pages any more, long after this returns.
 *
 * @module
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Catalog } from '../../region/catalog.ts';
import type { Digests } from '../../region/digest.ts';
import type { Region } from '../../region/region.ts';
import type { TreeLock } from '../../region/tree-lock.ts';
import type { TreeWatch } from '../../region/tree-watch.ts';
import { areRightWithoutOrigin, isForAnyOrigin, originFields, withOriginFields } from '../cors.ts';
import { ProblemError } from '../problem/problems.ts';
import { problemOfSystem } from '../problem/system-problems.ts';
import { BehindWriters } from './behind-writers.ts';
import { digestField, wantsReprDigest } from './digest-fields.ts';
import { judge, judgeBytes } from './judge.ts';
import { answerBodiless, answerHeld, type Outgoing } from './outgoing.ts';
import type { Publisher } from './publish.ts';
import { contentFields, type Fields, type GivenFields, setFields, validatorFields } from './region-headers.ts';

/** A region that others keep changing is judged again so often. */
const mostJudgements = 5;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether lanes may answer for the route by themselves. */
    answeredByLanes?: boolean;
  }
}

/** What answering with a region needs. */
export type RegionService = {
  readonly catalog: Catalog;
  readonly outgoing: Outgoing;
  /** Undefined where lanes answer nothing by themselves. */
  readonly publisher: Publisher | undefined;
  readonly digests: Digests;
  /** Undefined where there is no tree. */
  readonly treeWatch: TreeWatch | undefined;
  /** Undefined where there is no tree that others could write to. */
  readonly lock: TreeLock | undefined;
  /** Seconds that a reader waits for writers before it is refused. */
  readonly maxWait: number;
};

// What a user's own route answers with, only that route knows.
function publish(
  { publisher, outgoing }: RegionService,
  { request }: FastifyReply,
  region: Region,
  given: GivenFields,
  forOrigin: Fields,
) {
  if (!publisher || !request.routeOptions.config.answeredByLanes) return;
  if (!areRightWithoutOrigin(forOrigin, request)) return;
  publisher.publish(request, region, given, outgoing.engineOf(region), isForAnyOrigin(forOrigin));
}

/**
 * Judges a request for some bytes by what its region was when it was last looked at: whether it is still so is looked at with
 * the taking of its pages, by one call of the shim. Undefined where something else may come of the request.
 */
function judgeRecalled(catalog: Catalog, { method, headers }: FastifyRequest, name: string, given: GivenFields) {
  const isOfBytes = method === 'GET' && otherwise.every((field) => headers[field] === undefined);
  const region = isOfBytes ? catalog.recall(name) : undefined;
  if (!region || region.content.generation.size === 0) return undefined;
  try {
    return { region, verdict: judgeBytes(method, headers, region, new Date(), given.contentType) };
  } catch {
    return undefined; // It is judged as it is now.
  }
}

const otherwise = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'want-repr-digest'];

/**
 * Answers GET and HEAD with a region: 200, 206, 304.
 *
 * @param name a region name, already decoded
 * @param chosen fields that the caller wants to be otherwise
 * @throws ProblemError: 403, 404, 412, 416, 503
 */
export async function answerRegion(service: RegionService, reply: FastifyReply, name: string, chosen: GivenFields) {
  const { method, headers } = reply.request;
  const forOrigin = originFields(reply);
  const given = withOriginFields(chosen, forOrigin);
  const behind = new BehindWriters(service, reply.raw);
  try {
    for (let judgement = 0; judgement < mostJudgements; judgement++) {
      service.treeWatch?.look();
      if (service.lock?.share() === false) await behind.otherService();
      const recalled = judgement === 0 ? judgeRecalled(service.catalog, reply.request, name, given) : undefined;
      const region = recalled?.region ?? service.catalog.find(name);
      const verdict = recalled?.verdict ?? judge(method, headers, region, new Date(), given.contentType);
      if (!recalled) publish(service, reply, region, given, forOrigin);
      if (verdict.kind === 'not-modified') {
        return setFields(reply.code(304), validatorFields(region, given)).send();
      }
      const { plan } = verdict;
      // While it is computed the content can move: the second time it is answered without.
      const isDigestWanted = judgement === 0 && wantsReprDigest(headers);
      const digest = isDigestWanted ? await service.digests.of(region.content, reply.request.raw.socket) : undefined;
      if (digest !== undefined && service.lock?.share() === false) continue;
      if (digest !== undefined && service.catalog.find(name).content !== region.content) continue;
      const fields = { ...contentFields(region, plan, given), ...digestField(digest) };
      if (method === 'HEAD' || plan.length === 0) return answerBodiless(reply, plan.status, fields);
      const file = recalled && service.catalog.locate(name);
      const held = service.outgoing.hold(reply, region, plan, behind.place, file);
      if (held === 'blocked') await behind.writersOf(region, plan);
      if (typeof held === 'string') continue;
      if (recalled) publish(service, reply, region, given, forOrigin);
      return answerHeld(reply, held, fields);
    }
  } catch (error) {
    throw problemOfSystem(error);
  } finally {
    behind.leave();
  }
  throw new ProblemError('region-unstable');
}
