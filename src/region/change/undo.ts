/**
 * Notes to undo an overwrite in place by, after a crash or a failure: a line of JSON, and then the old bytes. The shim
 * writes them (native-shim/core/pages/overwrite.h).
 *
 * @module
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { isRegionName } from '../name.ts';
import { isCount } from '../sidecar-format.ts';
import type { Store } from './store.ts';

/** Which bytes of which file a note holds. */
export type Undone = {
  readonly name: string;
  readonly inode: number;
  /** When the file was made, in nanoseconds since 1970, for inodes are used again; undefined where nobody can tell. */
  readonly born?: string | undefined;
  readonly offset: number;
  readonly length: number;
};

/** What a crash left behind: the bytes begin at `at` of the note's file. */
export type Note = Undone & { readonly at: number };

/** How names of notes end. */
export const noteEnding = '.undo';

// A name has 1,024 bytes at most, of each of which JSON may make six (\\u0001). HEADING_CAPACITY of the shim's is the same.
const longestHeading = 8192;

/**
 * The line that a note begins with. It counts as long as this machine runs. A note is not durable, and neither is its
 * removal: a power cut can bring one back whose overwrite has ended, and is durable.
 */
export function writeHeading({ name, inode, born, offset, length }: Undone): string {
  return `${JSON.stringify({ name, inode, born, offset, length, boot: bootId() })}\n`;
}

/** Whether a note is of the file of a descriptor, which still has all that the note is about. */
export function isOf(store: Pick<Store, 'relay'>, { inode, born, offset, length }: Undone, fd: number): boolean {
  const { ino, size } = fstatSync(fd);
  const isBornThen = born === undefined || !canTellBirth(store) || born === bornAt(fd);
  return ino === inode && isBornThen && size >= offset + length;
}

/** Without statx Node gives the time of the last change for that of birth. */
export function canTellBirth({ relay }: Pick<Store, 'relay'>): boolean {
  return relay.refused.statx === undefined;
}

/** When a file was made: the same for good. */
export function bornAt(fd: number): string {
  return String(fstatSync(fd, { bigint: true }).birthtimeNs);
}

/**
 * Has a note count after the machine was started again, too: its overwrite could not be undone.
 *
 * @throws the file system's error
 */
export async function makeLasting(path: string, heading: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(
      heading.replace(/"boot":"[^"]*"/, (boot) => '"boot":null'.padEnd(boot.length)),
      0,
    );
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Reads a note; undefined for one that was written before the machine was started.
 *
 * @throws Error for one that is not whole, or never was one
 */
export function readNote(folder: string, file: string): Note | undefined {
  const fd = openSync(join(folder, file), 'r');
  try {
    const start = Buffer.alloc(longestHeading);
    const heading = start.subarray(0, readSync(fd, start)).indexOf('\n') + 1;
    const undone: unknown = JSON.parse(start.toString('utf8', 0, heading));
    if (!isUndone(undone)) throw new Error('it does not say what it is about');
    if (typeof undone.boot === 'string' && undone.boot !== bootId()) return undefined;
    if (fstatSync(fd).size !== heading + undone.length) throw new Error('it has not the bytes that it speaks of');
    return { ...undone, at: heading };
  } finally {
    closeSync(fd);
  }
}

let boot: string | undefined;

/** Names the time since the machine was started; empty where nobody tells. */
function bootId(): string {
  boot ??= readBootId();
  return boot;
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}

function isUndone(value: unknown): value is Undone & { readonly boot?: unknown } {
  const { name, inode, born, offset, length } = Object(value) as Record<string, unknown>;
  const isKnown = born === undefined || typeof born === 'string';
  return typeof name === 'string' && isRegionName(name) && isKnown && [inode, offset, length].every(isCount);
}
