import type { IncomingHttpHeaders } from 'node:http';
import { judgeRange } from '../../range/parse.ts';
import { type Plan, planRange, planRanges, planWhole, unsatisfiedContentRange } from '../../range/plan.ts';
import type { Region } from '../../region/region.ts';
import { ProblemError } from '../problem/problems.ts';
import { ifRangeHolds, judgePreconditions, type Validators } from './preconditions.ts';

/** What a request gets of a region: nothing new (304), or a plan's bytes. */
export type Verdict = { readonly kind: 'not-modified' } | { readonly kind: 'content'; readonly plan: Plan };

/**
 * Judges a GET or HEAD of a region that exists, in the order of RFC 9110 13.2.2: preconditions, If-Range, Range.
 *
 * @param contentType what the body is labelled, other than by the region's name
 * @throws ProblemError `precondition-failed`, `range-not-satisfiable`
 */
export function judge(
  method: string,
  headers: IncomingHttpHeaders,
  region: Region,
  contentType = region.contentType,
  now?: Date,
  maxRanges?: number,
): Verdict {
  switch (judgePreconditions(headers, method, validatorsOf(region))) {
    case 'failed':
      throw new ProblemError('precondition-failed', { headers: { etag: region.etag } });
    case 'not-modified':
      return { kind: 'not-modified' };
  }
  return { kind: 'content', plan: planBytes(method, headers, region, contentType, now, maxRanges) };
}

function validatorsOf({ etag, lastModified, state }: Region): Validators {
  return { etag, lastModified, writtenInPlace: state.inPlace };
}

/** What a request without preconditions gets. @throws ProblemError `range-not-satisfiable` */
export function planBytes(
  method: string,
  headers: IncomingHttpHeaders,
  region: Region,
  contentType = region.contentType,
  now?: Date,
  maxRanges?: number,
): Plan {
  const { size } = region.content.generation;
  const planned = { size, contentType };
  // RFC 9110 14.2: Range means something on GET alone.
  const isRanged = method === 'GET' && headers.range !== undefined;
  const honoured = isRanged && (headers['if-range'] === undefined || ifRangeHolds(headers, validatorsOf(region), now));
  const range = judgeRange(honoured ? headers.range : undefined, size, maxRanges);
  switch (range.kind) {
    case 'unsatisfiable':
      throw notSatisfiable(size);
    case 'malformed':
      // RFC 9110 14.2 allows 200 as well, but who asks for a range would get all of the region, and some clients take
      // that for the range.
      throw notSatisfiable(size, 'Range is malformed, or is there more than once.');
    case 'whole':
      return range.because ? { ...planWhole(planned), limited: range.because } : planWhole(planned);
    case 'single':
      return planRange(planned, range.range);
    case 'multiple':
      return planRanges(planned, range.ranges);
  }
}

function notSatisfiable(size: number, detail?: string): ProblemError {
  return new ProblemError('range-not-satisfiable', {
    detail,
    headers: { 'content-range': unsatisfiedContentRange(size) },
  });
}
