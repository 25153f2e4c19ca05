/** Files with content that can be told apart byte by byte. @module */
import { createHash } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Scope } from './scope.ts';

// test/pmem makes the last two in its guest, and runs there what was written for the first two on them as well.
const parents = {
  tmpfs: process.env.PAGERELAY_TEST_TMPFS ?? '/dev/shm',
  ext4: process.env.PAGERELAY_TEST_EXT4 ?? '/tmp',
  'ext4-dax': '/tmp/pmem-ext4',
  'xfs-dax': '/tmp/pmem-xfs',
} as const;
const readAtOnce = 1 << 20;

/** Where a file's pages are. */
export type Place = keyof typeof parents;

/** A file of a test. */
export type RegionFile = { readonly name: string; readonly path: string; readonly size: number };

/**
 * A folder that goes when the test ends. On DAX it goes when the next one is made, or the process ends: the clients of a
 * test can outlive its folders, and the kernel warns, or waits, when blocks are freed that a socket still refers to.
 */
export function makeFolder(scope: Scope, place: Place): string {
  for (const folder of abandoned.splice(0)) remove(folder);
  const folder = mkdtempSync(join(parents[place], 'pagerelay-test-'));
  scope.after(() => (isOnDax(place) ? abandoned.push(folder) : remove(folder)));
  return folder;
}

const abandoned: string[] = [];
process.once('exit', () => abandoned.forEach(remove));

function isOnDax(place: Place): boolean {
  return place.endsWith('-dax') || process.env.PAGERELAY_TEST_ON_DAX !== undefined;
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** `size` bytes that `seed` determines (xorshift32). */
export function seededBytes(size: number, seed: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return Buffer.from(words.buffer, 0, size);
}

// Most files of tests write the same content again and again, and to make it takes as long as to write it.
let written: { size: number; seed: number; bytes: Buffer } = { size: 0, seed: 0, bytes: Buffer.alloc(0) };

/** Writes a file of seeded bytes, with the folders that its name asks for. */
export function writeRegion(folder: string, name: string, size: number, seed = 1): RegionFile {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  if (written.size !== size || written.seed !== seed) written = { size, seed, bytes: seededBytes(size, seed) };
  writeFileSync(path, written.bytes);
  return { name, path, size };
}

/** Writes a file that is a hole but for seeded bytes in `every` n-th mebibyte, and at its end. */
export function writeSparseRegion(folder: string, name: string, size: number, every = 8): RegionFile {
  const path = join(folder, name);
  const fd = openSync(path, 'w');
  ftruncateSync(fd, size);
  for (let at = 0; at + readAtOnce <= size; at += every * readAtOnce) {
    writeSync(fd, seededBytes(3 * 4096 + 17, at + 1), 0, undefined, at + 4000);
  }
  writeSync(fd, seededBytes(5000, size), 0, undefined, size - 5000);
  closeSync(fd);
  return { name, path, size };
}

/** The bytes from `first` to `last`, inclusive, of a file. */
export function bytesOf(path: string, first: number, last: number): Buffer {
  const buffer = Buffer.allocUnsafe(last - first + 1);
  const fd = openSync(path, 'r');
  const read = readSync(fd, buffer, 0, buffer.length, first);
  closeSync(fd);
  return buffer.subarray(0, read);
}

/** SHA-256 in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** SHA-256 of the bytes from `first` to `last`, inclusive, of a file. */
export function sha256OfFile(path: string, first: number, last: number): string {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.min(readAtOnce, Math.max(0, last - first + 1)));
  const fd = openSync(path, 'r');
  for (let at = first; at <= last; ) {
    const read = readSync(fd, buffer, 0, Math.min(buffer.length, last - at + 1), at);
    if (read === 0) throw new Error(`${path} ends at ${at}`);
    hash.update(buffer.subarray(0, read));
    at += read;
  }
  closeSync(fd);
  return hash.digest('hex');
}

/** Overwrites bytes in place, as a process that knows nothing of the service would. */
export function overwrite(path: string, offset: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, offset);
  closeSync(fd);
}
