import type { Plan } from '../range/plan.ts';
import type { Region } from '../region/region.ts';

type Fields = Record<string, string | number>;

/** The fields that 200, 206 and 304 have alike (RFC 9110 15.4.5). */
export function validatorFields(region: Region): Fields {
  return {
    etag: region.etag,
    'last-modified': region.lastModified.toUTCString(),
    'accept-ranges': 'bytes',
    // What a region holds is somebody's data: no browser may run it as part of this origin.
    'x-content-type-options': 'nosniff',
    'content-security-policy': 'sandbox',
  };
}

/** The fields of a response with a plan's body. */
export function contentFields(region: Region, plan: Plan): Fields {
  return {
    ...validatorFields(region),
    'content-type': region.contentType,
    'content-length': plan.length,
    ...(plan.contentRange === undefined ? {} : { 'content-range': plan.contentRange }),
  };
}
