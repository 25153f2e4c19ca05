/** What is served: the built-in region, a copy of it for everybody else, and a region that is written to. @module */
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { stampedBytes } from '../clients/stamped.ts';
import { type RegionFile, type Regions, regionBytes } from '../run/region-file.ts';

const pageBytes = 4096;
const lineBytes = 64;
const pieceBytes = 2 ** 20;

/** What a writer writes at once, in bytes; its region is made of such blocks. */
export const blockBytes = 2 ** 16;

/**
 * Writes what the built-in region must hold (docs/operations.md), made here and not read from the service: so that it
 * can be compared with it, and served by others.
 */
export function writeBuiltIn(folder: string): Regions {
  const region = writeFile(folder, 'demo', describedPages);
  return { folder, at: () => region, isBuiltIn: true };
}

/** Writes a region that write number 0 has made. */
export function writeStamped(folder: string): RegionFile {
  return writeFile(folder, 'written', (first) => stampedBytes(first, pieceBytes, 0));
}

function writeFile(folder: string, name: string, piece: (first: number) => Buffer): RegionFile {
  const file = openSync(join(folder, name), 'w');
  for (let first = 0; first < regionBytes; first += pieceBytes) writeSync(file, piece(first));
  closeSync(file);
  return { folder, name, bytes: regionBytes };
}

function describedPages(first: number): Buffer {
  const piece = Buffer.alloc(pieceBytes);
  for (let at = 0; at < pieceBytes; at += pageBytes) {
    const page = first + at;
    const line = `pagerelay demo: page ${page / pageBytes}, bytes ${page}-${page + pageBytes - 1}`;
    piece.fill(`${line.padEnd(lineBytes - 1, ' ')}\n`, at, at + pageBytes);
  }
  return piece;
}
