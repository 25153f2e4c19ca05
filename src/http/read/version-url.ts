/** URLs that name one version of a region: `/regions/NAME?version=TAG`, the entity-tag without its quotes. @module */
import type { FastifyRequest } from 'fastify';
import { ProblemError } from '../problem/problems.ts';
import { refuse } from './list-pages.ts';

/**
 * The version that a request asks for; null for whichever is current.
 *
 * @throws ProblemError `bad-query` for several
 */
export function versionAsked(request: FastifyRequest): string | null {
  const { version = null } = request.query as { readonly version?: string | readonly string[] };
  return version === null || typeof version === 'string' ? version : refuse('version is there more than once.');
}

/** @throws ProblemError `bad-query` for a request to change a region that names a version */
export function refuseVersion(request: FastifyRequest): void {
  if (versionAsked(request) !== null) refuse('version is for GET and HEAD: If-Match says what is to be changed.');
}

/**
 * The URL of the version of this entity-tag, relative to that of its region (RFC 3986 4.2): whatever a proxy has put
 * before the path, it is right.
 */
export function versionUrl(etag: string): string {
  return `?version=${encodeURIComponent(etag.slice(1, -1))}`;
}

/** @throws ProblemError `precondition-failed` when a region is at another version than was asked for */
export function checkVersion(etag: string, version: string | null | undefined): void {
  if (typeof version !== 'string' || etag === `"${version}"`) return;
  throw new ProblemError('precondition-failed', { detail: 'The region has another version now.', headers: { etag } });
}
