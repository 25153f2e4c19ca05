/** What is said of a region's bytes. @module */

/** Bytes of one generation: from `offset` up to, not including, `offset + length`. */
export type Extent = { readonly offset: number; readonly length: number };

/** A piece of a body: bytes of the generation, or the literal bytes between them (ASCII). */
export type Segment = Extent | string;

/** The first and the last byte, both inclusive, as HTTP counts them. */
export type ByteRange = { readonly first: number; readonly last: number };

/** As the shim takes them: [offset, length, "literal", offset, length, …] */
export function flatten(segments: readonly Segment[]): (string | number)[] {
  const flat: (string | number)[] = [];
  for (const segment of segments) {
    if (typeof segment === 'string') flat.push(segment);
    else flat.push(segment.offset, segment.length);
  }
  return flat;
}
