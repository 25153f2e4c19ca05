import { randomFillSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** The file that every peer serves. */
export type RegionFile = { readonly folder: string; readonly name: string; readonly bytes: number };

/** Writes a file of random bytes: nothing can be compressed, shared or left out. */
export function writeRegionFile(folder: string, bytes: number): RegionFile {
  const path = join(folder, 'region.bin');
  writeFileSync(path, randomFillSync(new Uint8Array(bytes)));
  return { folder, name: basename(path), bytes };
}

/** Where it is. */
export function pathOf(region: RegionFile): string {
  return join(region.folder, region.name);
}
