/** Transmissions that are held without the shim. @module */
import type { Segment } from './extent.ts';
import type { Engine, Generation, Reference, TransmissionId, Tree } from './relay.ts';

/** What references are counted by. */
export const pageSize = 4096;

/** A file that is open. */
export type OpenGeneration = Generation & {
  readonly fd: number;
  readonly fileSize: number;
  /** By which it was opened. */
  readonly tree: Tree | undefined;
  readonly path: string;
  epoch: number;
  version: number;
  references: number;
  closed: boolean;
};

/** A transmission, and its reference. */
export type Hold = {
  readonly id: TransmissionId;
  readonly generation: OpenGeneration;
  readonly engine: Engine;
  readonly segments: readonly Segment[];
  readonly total: number;
  readonly since: number;
  /** Milliseconds, as `since`. */
  progressAt: number;
  left: number;
};

/** How many bytes from `first` to before `end` of a body are the region's. */
export function extentBytes(segments: readonly Segment[], first: number, end: number): number {
  let at = 0;
  let bytes = 0;
  for (const segment of segments) {
    const inside = Math.min(end, at + segment.length) - Math.max(first, at);
    if (typeof segment !== 'string') bytes += Math.max(0, inside);
    at += segment.length;
  }
  return bytes;
}

/** How many pages the rest of a body is on, from `first` on. */
export function pagesHeld(segments: readonly Segment[], first: number): number {
  let at = 0;
  let pages = 0;
  for (const segment of segments) {
    const skip = Math.max(0, first - at);
    at += segment.length;
    if (typeof segment === 'string' || skip >= segment.length) continue;
    const last = Math.floor((segment.offset + segment.length - 1) / pageSize);
    pages += last - Math.floor((segment.offset + skip) / pageSize) + 1;
  }
  return pages;
}

/** As it is shown. */
export function referenceOf(hold: Hold): Reference {
  const extents = hold.segments.filter((segment) => typeof segment !== 'string');
  const first = Math.min(...extents.map(({ offset }) => offset));
  const last = Math.max(...extents.map(({ offset, length }) => offset + length - 1));
  return {
    id: hold.id,
    generation: hold.generation.id,
    first,
    last,
    bytes: hold.left,
    state: 'unsent',
    engine: hold.engine,
    peer: '',
    peerKind: 'unaskable',
    ageSeconds: (performance.now() - hold.since) / 1000,
  };
}
