/** What the methods that change regions have in common. @module */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Judged } from '../../region/change/lease.ts';
import type { Leases } from '../../region/change/leases.ts';
import type { Start } from '../../region/change/start.ts';
import type { Store } from '../../region/change/store.ts';
import type { Region } from '../../region/region.ts';
import { ProblemError } from '../problem/problems.ts';
import { problemOfSystem } from '../problem/system-problems.ts';
import { writtenName } from '../read/name-of-request.ts';
import { refuseVersion } from '../read/version-url.ts';
import type { Successor } from './forwarding.ts';
import { judgeWrite } from './judge-write.ts';

/** What changing regions needs. */
export type Writer = {
  readonly store: Store;
  /** Largest overwrite in place, bytes. */
  readonly maxPartial: number;
  readonly leases: Leases;
  readonly start: Start;
  /** The process that takes this one's place. */
  readonly successor: Successor;
};

/**
 * What a request is about. Before its body is read: what can be refused is refused without it.
 *
 * @throws ProblemError `bad-query`, `bad-name`, `method-not-allowed`, `precondition-failed`
 */
export function writeOf(writer: Writer, request: FastifyRequest): Judged {
  refuseVersion(request);
  const name = writtenName(request, writer.store.catalog);
  if (!writer.store.catalog.isOfTree(name)) {
    throw new ProblemError('method-not-allowed', { headers: { allow: 'GET, HEAD, OPTIONS' } });
  }
  return { name, judge: (region) => judgeWrite(request.method, request.headers, region) };
}

/** Carries out a change. @throws ProblemError */
export async function carryOut<Result>(writer: Writer, act: () => Promise<Result>): Promise<Result> {
  try {
    return await writer.store.underway.follow(act());
  } catch (error) {
    throw problemOfSystem(isAbort(error) ? new ProblemError('request-timeout', { cause: error }) : error);
  }
}

// The client is gone: nobody reads the answer, and nothing is wrong here.
function isAbort(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const isAborted = error instanceof Error && error.name === 'AbortError';
  return isAborted || code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE';
}

/** 204 with the validator of what is there now. */
export function answerChanged(reply: FastifyReply, region: Region): FastifyReply {
  return reply.code(204).header('etag', region.etag).send();
}
