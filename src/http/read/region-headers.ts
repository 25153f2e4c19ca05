import { create as contentDisposition } from 'content-disposition';
import type { FastifyReply } from 'fastify';
import type { Plan } from '../../range/plan.ts';
import type { Described } from '../../region/region.ts';
import { versionUrl } from './version-url.ts';

/** Response fields, names in lower case. */
export type Fields = Record<string, string | number | string[]>;

/** Fields of a region's answers that whoever serves it may choose. */
export type RegionFields = {
  /** Content-Type; by default the name's ending decides. */
  readonly contentType?: string | undefined;
  /**
   * Cache-Control (RFC 9111 5.2); false for none. By default `no-cache`: without the field browsers and caches keep a
   * region for a tenth of its age, however often it changes (RFC 9111 4.2.2).
   */
  readonly cacheControl?: string | false | undefined;
  /** Content-Disposition (RFC 6266) with the last segment of the name as the file name; by default none is sent. */
  readonly contentDisposition?: 'inline' | 'attachment' | undefined;
  /**
   * Where the region's URL with `?version=TAG` names one version for good: what the request says there, an entity-tag without
   * its quotes, or null when it says nothing. While a version is current that was asked for, its answers are told to be
   * immutable (RFC 8246); after that they are 412. Answers with whichever is current link to its URL (RFC 8288). By default
   * no URL names a version.
   */
  readonly version?: string | null | undefined;
};

/** Those, and any others (`given-fields.ts`). */
export type GivenFields = RegionFields & {
  readonly others?: Fields | undefined;
  /** Whether caches that several users share may keep a version, where Cache-Control is the usual one. */
  readonly shared?: boolean | undefined;
  /** False while a further change of the file could leave its entity-tag as it is: no version of it is immutable. */
  readonly settled?: boolean | undefined;
};

/** The fields that 200, 206 and 304 have alike (RFC 9110 15.4.5). */
export function validatorFields(region: Described, given: GivenFields): Fields {
  const { cacheControl, version, others } = given;
  const fields: Fields = { etag: region.etag };
  const lastModified = lastModifiedOf(region);
  if (lastModified !== undefined) fields['last-modified'] = lastModified;
  if (version === null) fields.link = `<${versionUrl(region.etag)}>; rel="bookmark"`;
  fields['accept-ranges'] = 'bytes';
  if (cacheControl !== false) fields['cache-control'] = cacheControlOf(cacheControl, given);
  // What a region holds is somebody's data: no browser may run it as part of this origin.
  fields['x-content-type-options'] = 'nosniff';
  fields['content-security-policy'] = 'sandbox';
  if (typeof version === 'string') fields['content-location'] = versionUrl(region.etag);
  if (!others) return fields;
  const { link = [] } = fields;
  return Object.assign(fields, others, others.link === undefined ? {} : { link: both(link, others.link) });
}

function both(first: Fields[string], second: Fields[string]): string[] {
  return [first, second].flat().map(String);
}

const usual = 'no-cache';

// A year is as long as any cache keeps what it is given.
const forGood = 'max-age=31536000, immutable';

function cacheControlOf(chosen: string | undefined, { version, shared, settled }: GivenFields): string {
  if (typeof version !== 'string') return chosen ?? usual;
  if (settled === false) return usual;
  // One version need never be asked about again. What else was chosen, such as who may keep it, holds for it as well.
  if (chosen === undefined) return `private, ${forGood}`;
  if (chosen === usual && shared) return forGood;
  return /\bimmutable\b/i.test(chosen) ? chosen : `${chosen}, immutable`;
}

function lastModifiedOf({ lastModified, lastModifiedField }: Described): string | undefined {
  // RFC 9110 8.8.2.1: a time in the future is replaced by that of the message.
  const isAhead = lastModified !== undefined && lastModified.getTime() > Date.now();
  return isAhead ? new Date().toUTCString() : lastModifiedField;
}

/** The fields of a response with a plan's body. */
export function contentFields(region: Described, plan: Plan, given: GivenFields): Fields {
  const fields = validatorFields(region, given);
  fields['content-type'] = plan.contentType;
  fields['content-length'] = plan.length;
  if (plan.contentRange !== undefined) fields['content-range'] = plan.contentRange;
  if (given.contentDisposition !== undefined)
    fields['content-disposition'] = dispositionOf(region.name, given.contentDisposition);
  return fields;
}

/** Fields that a route's own code or hooks may have set before; theirs stay. */
const yielding = ['cache-control', 'content-disposition', 'content-security-policy', 'x-content-type-options'];

/** Sets the fields of a region's answer, in their order. */
export function setFields(reply: FastifyReply, fields: Fields): FastifyReply {
  for (const [name, value] of Object.entries(fields)) {
    const before = reply.getHeader(name);
    if (before !== undefined && yielding.includes(name)) continue;
    reply.removeHeader(name);
    reply.header(name, name === 'link' && before !== undefined ? both(before, value) : value);
  }
  return reply;
}

/** The same; and what the reply has then, for a head that Fastify does not make. */
export function setAllFields(reply: FastifyReply, fields: Fields): Fields {
  if (Object.keys(reply.getHeaders()).length > 0) return setFields(reply, fields).getHeaders() as Fields;
  reply.headers(fields);
  return fields;
}

function dispositionOf(name: string, type: 'inline' | 'attachment'): string {
  return contentDisposition(name.slice(name.lastIndexOf('/') + 1), { type });
}
