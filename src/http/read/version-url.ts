/** URLs that name one version of a region: `/regions/NAME?version=TAG`, the entity-tag without its quotes. @module */
import type { FastifyRequest } from 'fastify';
import type { Catalog } from '../../region/catalog.ts';
import type { Region } from '../../region/region.ts';
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

/** Whether an entity-tag is of the version that is asked for. */
export function isVersionAsked(etag: string, version: string | null | undefined): boolean {
  return typeof version !== 'string' || etag === `"${version}"`;
}

/**
 * The region as it is now; or, where another version of it is asked for, that one, if it is kept.
 *
 * @throws SystemError when there is no such region; ProblemError `precondition-failed` for a version that is not kept
 */
export function findVersion(catalog: Catalog, name: string, version: string | null | undefined): Region {
  const current = catalog.find(name);
  const { etag } = current;
  const asked = isVersionAsked(etag, version) ? current : catalog.kept?.find(name, `"${version}"`);
  if (asked) return asked;
  throw new ProblemError('precondition-failed', { detail: 'The region has another version now.', headers: { etag } });
}
