import { randomFillSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** The file that every peer serves. */
export type RegionFile = { readonly folder: string; readonly name: string; readonly bytes: number };

/**
 * Writes a file of random bytes: nothing can be compressed, shared or left out. It is synced, so that no disk is busy
 * with it while something is measured.
 */
export function writeRegionFile(folder: string, bytes: number, name = 'region.bin'): RegionFile {
  const path = join(folder, name);
  writeFileSync(path, randomFillSync(new Uint8Array(bytes)), { flush: true });
  return { folder, name: basename(path), bytes };
}

/** Where it is. */
export function pathOf(region: RegionFile): string {
  return join(region.folder, region.name);
}
