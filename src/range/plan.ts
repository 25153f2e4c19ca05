import type { ByteRange } from './parse.ts';

/** Bytes of one generation: from `offset` up to, not including, `offset + length`. */
export type Extent = { readonly offset: number; readonly length: number };

/** A successful response's status, its body and the two fields that describe the body. */
export type Plan = {
  readonly status: 200 | 206;
  /** What the body consists of, in the order of sending. Never holds an extent of no bytes. */
  readonly extents: readonly Extent[];
  /** Content-Length in bytes. */
  readonly length: number;
  /** Content-Range (RFC 9110 14.4), for 206 only. */
  readonly contentRange: string | undefined;
};

/** Plans the answer that sends all `size` bytes of a region (RFC 9110 15.3.1). */
export function planWhole(size: number): Plan {
  const extents = size === 0 ? [] : [{ offset: 0, length: size }];
  return { status: 200, extents, length: size, contentRange: undefined };
}

/**
 * Plans the answer that sends one range of a region (RFC 9110 15.3.7.1).
 *
 * @param range lies inside the region, as `judgeRange` gives it
 * @param size the region's size in bytes
 */
export function planRange(range: ByteRange, size: number): Plan {
  const length = range.last - range.first + 1;
  return {
    status: 206,
    extents: [{ offset: range.first, length }],
    length,
    contentRange: `bytes ${range.first}-${range.last}/${size}`,
  };
}

/** The Content-Range that goes with a 416 (RFC 9110 14.4, 15.5.17). */
export function unsatisfiedContentRange(size: number): string {
  return `bytes */${size}`;
}
