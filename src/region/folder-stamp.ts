/** Whether what was read of a folder still stands. @module */
import type { BigIntStats } from 'node:fs';

/** What a folder's state is told by, and its latest change in milliseconds since 1970. */
export type FolderStamp = { readonly stamp: string; readonly changedAt: number };

/**
 * Milliseconds: a folder that changed more recently is not remembered. Coarse times (2 s on FAT) would hide its next
 * change.
 */
export const settledMilliseconds = 3000;

/** Stamps a folder. */
export function stampOf({ dev, ino, mtimeNs, ctimeNs }: BigIntStats): FolderStamp {
  const latest = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
  return { stamp: `${dev}:${ino}:${mtimeNs}:${ctimeNs}`, changedAt: Number(latest / 1_000_000n) };
}
