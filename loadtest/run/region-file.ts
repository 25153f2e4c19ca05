/** The files that every peer serves. @module */
import { randomFillSync } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** One of them. */
export type RegionFile = { readonly folder: string; readonly name: string; readonly bytes: number };

/** Which file of a folder is asked for ranges of a size. */
export type Regions = {
  readonly folder: string;
  readonly at: (size: number) => RegionFile;
  /** The file is a copy of what pagerelay serves when it is told of no region: it is told of none. */
  readonly isBuiltIn?: boolean;
};

/** Bytes of the file that ranges up to its size are asked of, and of the one that is asked for whole. */
export const regionBytes = 2 ** 26;
export const wholeBytes = 2 ** 30;

const pieceBytes = 2 ** 26;

/** Writes what ranges of these sizes need. */
export function writeRegions(folder: string, sizes: readonly number[]): Regions {
  const region = writeRegionFile(folder, regionBytes);
  if (!sizes.some((size) => size > regionBytes)) return { folder, at: () => region };
  const whole = writeRegionFile(folder, wholeBytes, 'whole.bin');
  return { folder, at: (size) => (size > regionBytes ? whole : region) };
}

/** One file for ranges of all sizes. */
export function oneRegion(region: RegionFile): Regions {
  return { folder: region.folder, at: () => region };
}

/**
 * Writes a file of random bytes: nothing can be compressed, shared or left out. It is synced, so that no disk is busy
 * with it while something is measured.
 */
export function writeRegionFile(folder: string, bytes: number, name = 'region.bin'): RegionFile {
  const file = openSync(join(folder, name), 'w');
  try {
    for (let at = 0; at < bytes; at += pieceBytes) {
      writeFileSync(file, randomFillSync(new Uint8Array(Math.min(pieceBytes, bytes - at))));
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return { folder, name, bytes };
}

/** Where it is. */
export function pathOf(region: RegionFile): string {
  return join(region.folder, region.name);
}
