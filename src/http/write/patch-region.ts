/** PATCH: a region's size (RFC 5789; RFC 7396). @module */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { resizeRegion } from '../../region/change/resize.ts';
import { ProblemError } from '../problem/problems.ts';
import { patienceOf, tellWait } from './waiting.ts';
import { answerChanged, carryOut, type Writer, writeOf } from './writer.ts';

/** What PATCH takes (RFC 7396). */
export const mergePatch = 'application/merge-patch+json';

/** Answers PATCH. @throws ProblemError */
export function patchRegion(writer: Writer, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const asked = writeOf(writer, request);
  const size = sizeOf(request.body);
  const resize = async () => {
    const patience = patienceOf(request, reply);
    tellWait(request, reply);
    return answerChanged(reply, await resizeRegion(writer.store, { ...asked, patience }, size));
  };
  return carryOut(writer, () => writer.successor.carryOut(request, reply, resize));
}

function sizeOf(body: unknown): number {
  const patch = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const { size, ...others } = patch;
  const isSize = typeof size === 'number' && Number.isSafeInteger(size) && size >= 0;
  if (isSize && Object.keys(others).length === 0) return size;
  throw new ProblemError('bad-request', { detail: 'The body must be {"size": N}, a whole number of bytes.' });
}
