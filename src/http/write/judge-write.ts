import type { IncomingHttpHeaders } from 'node:http';
import type { Region } from '../../region/region.ts';
import { ProblemError } from '../problem/problems.ts';
import { judgePreconditions } from '../read/preconditions.ts';

/**
 * Judges the preconditions of a request that changes a region (RFC 9110 13.1.1, 13.1.2, 13.1.4).
 *
 * @param region undefined when there is none of this name
 * @throws ProblemError `precondition-failed`
 */
export function judgeWrite(method: string, headers: IncomingHttpHeaders, region: Region | undefined): void {
  if (!region) {
    // RFC 9110 13.1.1: `*` too is false when there is no current representation.
    if (headers['if-match'] !== undefined) throw new ProblemError('precondition-failed');
    return;
  }
  const validators = { ...region, writtenInPlace: region.state.inPlace };
  if (judgePreconditions(headers, method, validators) === 'failed') {
    throw new ProblemError('precondition-failed', { headers: { etag: region.etag } });
  }
}
