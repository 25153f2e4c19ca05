import { randomBytes } from 'node:crypto';
import type { LimitReason } from '../limits/limits.ts';
import type { ByteRange, Extent, Segment } from '../relay/extent.ts';

/** A successful response's status, its body and the fields that describe the body. */
export type Plan = {
  readonly status: 200 | 206;
  /** What the body consists of, in the order of sending. Never holds a segment of no bytes. */
  readonly segments: readonly Segment[];
  /** Content-Length in bytes. */
  readonly length: number;
  /** Content-Range (RFC 9110 14.4), for a 206 of one range only. */
  readonly contentRange: string | undefined;
  readonly contentType: string;
  /** The limit that it is cut down by, if one is. */
  readonly limited?: LimitReason;
};

/** What a plan is made for. */
export type Planned = { readonly size: number; readonly contentType: string };

/** Plans the answer that sends all bytes of a region (RFC 9110 15.3.1). */
export function planWhole({ size, contentType }: Planned): Plan {
  const segments = size === 0 ? [] : [{ offset: 0, length: size }];
  return { status: 200, segments, length: size, contentRange: undefined, contentType };
}

/** Plans the answer that sends one range of a region (RFC 9110 15.3.7.1). */
export function planRange({ size, contentType }: Planned, range: ByteRange): Plan {
  const extent = extentOf(range);
  const contentRange = contentRangeOf(range, size);
  return { status: 206, segments: [extent], length: extent.length, contentRange, contentType };
}

/**
 * Plans the answer that sends several ranges as one body, each behind a head (`multipart/byteranges`, RFC 9110 14.6,
 * 15.3.7.2).
 *
 * @param boundary must stand in no part: by default it is random
 */
export function planRanges(planned: Planned, ranges: readonly ByteRange[], boundary = newBoundary()): Plan {
  const segments: Segment[] = [];
  for (const range of ranges) segments.push(partHead(planned, range, boundary), extentOf(range));
  segments.push(`\r\n--${boundary}--\r\n`);
  return {
    status: 206,
    segments,
    length: segments.reduce((sum, segment) => sum + segment.length, 0),
    contentRange: undefined,
    contentType: `multipart/byteranges; boundary=${boundary}`,
  };
}

/** The Content-Range that goes with a 416 (RFC 9110 14.4, 15.5.17). */
export function unsatisfiedContentRange(size: number): string {
  return `bytes */${size}`;
}

// RFC 2046 5.1.1: the line break before a delimiter belongs to the delimiter. The first one could do without, but zsync
// finds no part there then; nginx and Apache send it too.
function partHead({ size, contentType }: Planned, range: ByteRange, boundary: string): string {
  const fields = `content-type: ${contentType}\r\ncontent-range: ${contentRangeOf(range, size)}`;
  return `\r\n--${boundary}\r\n${fields}\r\n\r\n`;
}

function newBoundary(): string {
  return randomBytes(12).toString('hex');
}

function extentOf({ first, last }: ByteRange): Extent {
  return { offset: first, length: last - first + 1 };
}

function contentRangeOf({ first, last }: ByteRange, size: number): string {
  return `bytes ${first}-${last}/${size}`;
}
