/** Answers that stay the same while the service runs. @module */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ProblemError } from '../problem/problems.ts';
import { judgePreconditions } from './preconditions.ts';

/** A body with its media type and its strong entity-tag. */
export type Fixed = { readonly contentType: string; readonly body: Buffer; readonly etag: string };

const startedAt = new Date();

/** Gives a body its entity-tag. */
export function fixedOf(contentType: string, body: Buffer): Fixed {
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { contentType, body, etag };
}

/** Answers GET and HEAD with a body that browsers keep, and ask about each time. */
export function answerFixed(fixed: Fixed, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { etag, contentType, body } = fixed;
  const validators = { etag, lastModified: startedAt, writtenInPlace: false };
  const verdict = judgePreconditions(request.headers, request.method, validators);
  if (verdict === 'failed') throw new ProblemError('precondition-failed', { headers: { etag } });
  reply.headers({ etag, 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff' });
  return verdict === 'not-modified' ? reply.code(304).send() : reply.type(contentType).send(body);
}
