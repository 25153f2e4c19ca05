/**
 * Notes to undo an overwrite in place by, after a crash or a failure: a line of JSON, and then the old bytes. The shim
 * writes them (native-shim/core/pages/overwrite.h).
 *
 * @module
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { isRegionName } from '../name.ts';
import { isCount } from '../sidecar-format.ts';

/** Which bytes of which file a note holds. */
export type Undone = {
  readonly name: string;
  readonly inode: number;
  readonly offset: number;
  readonly length: number;
};

/** What a crash left behind: the bytes begin at `at` of the note's file. */
export type Note = Undone & { readonly at: number };

/** How names of notes end. */
export const noteEnding = '.undo';

// A name has 1,024 bytes at most, of each of which JSON may make six (\\u0001). HEADING_CAPACITY of the shim's is the same.
const longestHeading = 8192;

/** The line that a note begins with. */
export function writeHeading({ name, inode, offset, length }: Undone): string {
  return `${JSON.stringify({ name, inode, offset, length })}\n`;
}

/** Reads a note. @throws Error for one that is not whole, or never was one */
export function readNote(folder: string, file: string): Note {
  const fd = openSync(join(folder, file), 'r');
  try {
    const start = Buffer.alloc(longestHeading);
    const heading = start.subarray(0, readSync(fd, start)).indexOf('\n') + 1;
    const undone: unknown = JSON.parse(start.toString('utf8', 0, heading));
    if (!isUndone(undone)) throw new Error('it does not say what it is about');
    if (fstatSync(fd).size !== heading + undone.length) throw new Error('it has not the bytes that it speaks of');
    return { ...undone, at: heading };
  } finally {
    closeSync(fd);
  }
}

function isUndone(value: unknown): value is Undone {
  const { name, inode, offset, length } = Object(value) as Record<string, unknown>;
  return typeof name === 'string' && isRegionName(name) && [inode, offset, length].every(isCount);
}
