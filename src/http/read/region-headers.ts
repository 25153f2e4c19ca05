import { create as contentDisposition } from 'content-disposition';
import type { FastifyReply } from 'fastify';
import type { Plan } from '../../range/plan.ts';
import type { Described } from '../../region/region.ts';

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
};

/** Those, and any others (`given-fields.ts`). */
export type GivenFields = RegionFields & { readonly others?: Fields | undefined };

/** The fields that 200, 206 and 304 have alike (RFC 9110 15.4.5). */
export function validatorFields(region: Described, { cacheControl = 'no-cache', others }: GivenFields): Fields {
  const fields: Fields = { etag: region.etag };
  const lastModified = lastModifiedOf(region);
  if (lastModified !== undefined) fields['last-modified'] = lastModified;
  fields['accept-ranges'] = 'bytes';
  if (cacheControl !== false) fields['cache-control'] = cacheControl;
  // What a region holds is somebody's data: no browser may run it as part of this origin.
  fields['x-content-type-options'] = 'nosniff';
  fields['content-security-policy'] = 'sandbox';
  return others ? Object.assign(fields, others) : fields;
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
    if (yielding.includes(name) && reply.hasHeader(name)) continue;
    reply.removeHeader(name);
    reply.header(name, value);
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
