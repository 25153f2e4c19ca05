import type { ByteRange } from '../relay/extent.ts';
import { exceeds, saturate } from './digits.ts';

/** Which bytes of a region a request's body is: the first and the last, both inclusive. */
export type ContentRange = ByteRange & {
  /** The size in bytes that the client takes the whole region to have; undefined: it does not say. */
  readonly size: number | undefined;
};

/**
 * Reads the Content-Range of a request (RFC 9110 14.4, 14.5), `bytes a-b/*` or `bytes a-b/size`. Numbers above 2^53 - 1
 * become that. Never throws.
 *
 * @returns undefined for the kind without positions, for another unit, for a last position below the first or not below
 * the size, and for whatever is malformed
 */
export function parseContentRange(field: string): ContentRange | undefined {
  const [, first, last, size] = /^bytes ([0-9]+)-([0-9]+)\/([0-9]+|\*)$/i.exec(field) ?? [];
  if (first === undefined || last === undefined || exceeds(first, last)) return undefined;
  if (size === undefined || size === '*') return { first: saturate(first), last: saturate(last), size: undefined };
  // RFC 9110 14.4: positions count from 0, so a last one that equals the size lies outside already.
  return exceeds(size, last) ? { first: saturate(first), last: saturate(last), size: saturate(size) } : undefined;
}
