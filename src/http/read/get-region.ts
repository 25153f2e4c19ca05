/**
 * The way of one request: which region, judged how, held, sent. The reference that `hold` takes goes when nobody can
 * see a change to its pages any more, long after this returns.
 *
 * @module
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Metrics } from '../../observe/metrics.ts';
import type { Plan } from '../../range/plan.ts';
import type { Catalog } from '../../region/catalog.ts';
import { NotOurs, type Role } from '../../region/change/role.ts';
import type { Digests } from '../../region/digest.ts';
import type { Region } from '../../region/region.ts';
import type { TreeLock } from '../../region/tree-lock.ts';
import type { TreeWatch } from '../../region/tree-watch.ts';
import { areRightWithoutOrigin, originFields, withOriginFields } from '../cors.ts';
import { ProblemError } from '../problem/problems.ts';
import { problemOfSystem } from '../problem/system-problems.ts';
import { BehindWriters } from './behind-writers.ts';
import { digestField, wantsReprDigest } from './digest-fields.ts';
import { judge, planBytes } from './judge.ts';
import { answerBodiless, answerHeld, type Outgoing } from './outgoing.ts';
import type { Publisher } from './publish.ts';
import { contentFields, type Fields, type GivenFields, setFields, validatorFields } from './region-headers.ts';
import { isSettled } from './settled.ts';
import { findVersion, isVersionAsked } from './version-url.ts';

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
  /** How many ranges of one request are answered one by one; undefined: as many as by default. */
  readonly maxRanges: number | undefined;
  readonly metrics: Pick<Metrics, 'countLimited'>;
  readonly takeover: {
    /** Whether it is this process that answers with regions. */
    readonly reading: Role;
  };
};

/** A request for a region, and what is to be said of that besides. */
type Asked = {
  readonly reply: FastifyReply;
  /** Already decoded. */
  readonly name: string;
  readonly given: GivenFields;
  /** Those of `given` that are for the request's origin. */
  readonly forOrigin: Fields;
};

// What a user's own route answers with, only that route knows; and what is replaced is no lane's any more.
function publish({ catalog, publisher, outgoing }: RegionService, asked: Asked, region: Region, given: GivenFields) {
  const { reply, forOrigin } = asked;
  const { request } = reply;
  if (!publisher || given.settled === false || !request.routeOptions.config.answeredByLanes) return;
  if (typeof given.version === 'string' && !catalog.isLatest(region)) return;
  if (!areRightWithoutOrigin(forOrigin, request)) return;
  publisher.publish(request, region, given, outgoing.engineOf(region), forOrigin);
}

/** What a region's answer is given: a version of a file is immutable once a further change of the file could not go unseen. */
function givenFor({ content }: Region, given: GivenFields): GivenFields {
  return typeof given.version !== 'string' || isSettled(content.generation) ? given : { ...given, settled: false };
}

// Nothing but bytes can come of it, or an error.
function isOfBytes({ method, headers }: FastifyRequest): boolean {
  return (
    method === 'GET' &&
    headers['if-match'] === undefined &&
    headers['if-none-match'] === undefined &&
    headers['if-modified-since'] === undefined &&
    headers['if-unmodified-since'] === undefined &&
    headers['want-repr-digest'] === undefined
  );
}

// By what a region was when it was last looked at. An error may be none by what it is now.
function planRecalled({ maxRanges }: RegionService, { reply, given }: Asked, region: Region): Plan | undefined {
  try {
    if (!isVersionAsked(region.etag, given.version)) return undefined;
    return planBytes('GET', reply.request.headers, region, given.contentType, undefined, maxRanges);
  } catch {
    return undefined;
  }
}

/**
 * Answers a request for some bytes by what its region was when it was last looked at: whether it is still so is looked at with
 * the taking of its pages, by one call of the shim, and nothing is waited for. Undefined where more is to be done.
 */
function answerRecalled(service: RegionService, asked: Asked): Promise<FastifyReply> | undefined {
  const { catalog, lock, outgoing, treeWatch } = service;
  const { reply, name } = asked;
  service.takeover.reading.check();
  treeWatch?.look();
  if (!isOfBytes(reply.request) || lock?.share() === false) return undefined;
  const region = catalog.recall(name);
  const plan = region && planRecalled(service, asked, region);
  if (!plan || plan.length === 0) return undefined;
  const given = givenFor(region, asked.given);
  const fields = contentFields(region, plan, given); // Whatever can fail has to before pages are held.
  const held = outgoing.hold(reply, region, plan, undefined, true);
  if (typeof held === 'string') return undefined;
  publish(service, asked, region, given);
  if (plan.limited) service.metrics.countLimited(plan.limited);
  return answerHeld(reply, held, fields);
}

/**
 * Answers GET and HEAD with a region: 200, 206, 304.
 *
 * @param name a region name, already decoded
 * @param chosen fields that the caller wants to be otherwise
 * @returns resolves when the body has been sent
 * @throws NotOurs; ProblemError: 403, 404, 412, 416, 503
 */
export function answerRegion(service: RegionService, reply: FastifyReply, name: string, chosen: GivenFields) {
  const forOrigin = originFields(reply);
  const asked = { reply, name, given: withOriginFields(chosen, forOrigin), forOrigin };
  try {
    return answerRecalled(service, asked) ?? answerAnew(service, asked);
  } catch (error) {
    if (error instanceof NotOurs) return answerUnlessSucceeded(service, asked);
    return Promise.reject<FastifyReply>(problemOfSystem(error));
  }
}

async function answerUnlessSucceeded(service: RegionService, asked: Asked): Promise<FastifyReply> {
  if (await service.takeover.reading.whetherSucceeded()) throw new NotOurs();
  return answerAnew(service, asked);
}

async function answerAnew(service: RegionService, asked: Asked): Promise<FastifyReply> {
  const { catalog, digests, lock, outgoing, treeWatch } = service;
  const { reading } = service.takeover;
  const { reply, name } = asked;
  const { method, headers } = reply.request;
  const behind = new BehindWriters(service, reply.raw);
  try {
    for (let judgement = 0; judgement < mostJudgements; judgement++) {
      treeWatch?.look();
      if (lock?.share() === false) await behind.otherService();
      reading.check();
      const region = findVersion(catalog, name, asked.given.version);
      const given = givenFor(region, asked.given);
      const verdict = judge(method, headers, region, given.contentType, undefined, service.maxRanges);
      publish(service, asked, region, given);
      if (verdict.kind === 'not-modified') {
        return setFields(reply.code(304), validatorFields(region, given)).send();
      }
      const { plan } = verdict;
      // While it is computed the content can move: the second time it is answered without.
      const isDigestWanted = judgement === 0 && wantsReprDigest(headers);
      const digest = isDigestWanted ? await digests.of(region.content, reply.request.raw.socket) : undefined;
      reading.check();
      if (digest !== undefined && lock?.share() === false) continue;
      if (digest !== undefined && findVersion(catalog, name, given.version).content !== region.content) continue;
      const fields = { ...contentFields(region, plan, given), ...digestField(digest) };
      if (method === 'HEAD' || plan.length === 0) return answerBodiless(reply, plan.status, fields);
      const held = outgoing.hold(reply, region, plan, behind.place);
      if (held === 'blocked') await behind.writersOf(region, plan);
      if (typeof held === 'string') continue;
      if (plan.limited) service.metrics.countLimited(plan.limited);
      return answerHeld(reply, held, fields);
    }
  } catch (error) {
    if (error instanceof NotOurs) return answerUnlessSucceeded(service, asked);
    throw problemOfSystem(error);
  } finally {
    behind.leave();
  }
  throw new ProblemError('region-unstable');
}
