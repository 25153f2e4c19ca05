/** The files that every server serves. @module */
import { randomFillSync } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, statfsSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { stampedBytes } from '../clients/stamped.ts';
import { regionNumber } from '../model/request.ts';

/** A folder of regions of one size. */
export type Tree = {
  readonly folder: string;
  readonly count: number;
  readonly regionBytes: number;
  /** All of them, one behind the other: what bodies are compared with. */
  readonly content: string;
};

/** The names of regions; `*` stands for the number. */
export const regionNames = 'region-*.bin';

/** Beside them, where something is written to. */
export const writtenName = 'written.bin';

const pieceBytes = 2 ** 22;

/**
 * Writes regions of random bytes: nothing can be compressed, shared or left out. They are synced, so that no disk is busy
 * with them while something is measured.
 */
export function growTree(parent: string, count: number, regionBytes: number, isWritten: boolean): Tree {
  const folder = join(parent, 'tree');
  mkdirSync(folder);
  const nameOf = (region: number) => join(folder, regionNames.replace('*', regionNumber(region)));
  const content = count === 1 ? nameOf(0) : join(parent, 'content');
  writePieces(content, count * regionBytes, (_, bytes) => randomFillSync(new Uint8Array(bytes)));
  // Several are small.
  const all = count === 1 ? undefined : readFileSync(content);
  for (let region = 0; all && region < count; region++) {
    writeFileSync(nameOf(region), all.subarray(region * regionBytes, (region + 1) * regionBytes));
  }
  // A region that write number 0 has made.
  const stamped = (first: number, bytes: number) => stampedBytes(first, bytes, 0);
  if (isWritten) writePieces(join(folder, writtenName), regionBytes, stamped);
  return { folder, count, regionBytes, content };
}

function writePieces(path: string, bytes: number, piece: (first: number, bytes: number) => Uint8Array): void {
  const file = openSync(path, 'w');
  for (let at = 0; at < bytes; at += pieceBytes) writeSync(file, piece(at, Math.min(pieceBytes, bytes - at)));
  fsyncSync(file);
  closeSync(file);
}

/** A file system in memory. */
export const memoryFolder = '/dev/shm';

/** /var/tmp survives a restart (file-hierarchy(7)), so it is on a disk; /tmp often is not. */
export const diskFolder = '/var/tmp';

/** Whether a folder is in memory: of TMPFS_MAGIC (statfs(2)). */
export function isInMemory(folder: string): boolean {
  return statfsSync(folder).type === 0x01021994;
}
