import { type BigIntStats, fstatSync } from 'node:fs';
import type { FileIdentity } from './relay.ts';

const nanosecondsPerSecond = 1_000_000_000n;

/** What `stat` tells of a file, as the shim tells it: times before 1970 have negative seconds and positive nanoseconds. */
export function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileIdentity {
  const modified = timeOf(mtimeNs);
  const changed = timeOf(ctimeNs);
  return {
    device: Number(dev),
    inode: Number(ino),
    size: Number(size),
    modifiedSeconds: modified.seconds,
    modifiedNanoseconds: modified.nanoseconds,
    changedSeconds: changed.seconds,
    changedNanoseconds: changed.nanoseconds,
  };
}

/** What is behind a descriptor. */
export function fileOf(fd: number): FileIdentity {
  return identityOf(fstatSync(fd, { bigint: true }));
}

/** A file, by device and inode, as one text. */
export type FileKey = string;

export function fileKeyOf({ device, inode }: Pick<FileIdentity, 'device' | 'inode'>): FileKey {
  return `${device}:${inode}`;
}

/** Whether two looks saw one inode. */
export function isSameFile(one: FileIdentity, other: FileIdentity): boolean {
  return one.inode === other.inode && one.device === other.device;
}

/**
 * Whether two looks saw one inode, and nothing was done to it between them: neither its mtime nor its ctime has moved.
 * Sizes are not compared, for that of a generation can be less than its file's.
 */
export function isSameChange(one: FileIdentity, other: FileIdentity): boolean {
  return identifying.every((what) => one[what] === other[what]);
}

/** mtime in nanoseconds since 1970, negative before it. */
export function modifiedAt({ modifiedSeconds, modifiedNanoseconds }: FileIdentity): bigint {
  return BigInt(modifiedSeconds) * nanosecondsPerSecond + BigInt(modifiedNanoseconds);
}

/** ctime in nanoseconds since 1970. */
export function changedAt({ changedSeconds, changedNanoseconds }: FileIdentity): bigint {
  return BigInt(changedSeconds) * nanosecondsPerSecond + BigInt(changedNanoseconds);
}

/** What a look at a path fails with where no region is. */
export const missing: ReadonlySet<string> = new Set([
  'ENOENT',
  'ENOTDIR',
  'EISDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'EINVAL',
  'ENXIO',
  'EXDEV',
]);

const identifying = [
  'device',
  'inode',
  'modifiedSeconds',
  'modifiedNanoseconds',
  'changedSeconds',
  'changedNanoseconds',
] as const;

function timeOf(nanoseconds: bigint): { seconds: number; nanoseconds: number } {
  // The remainder has the sign of the dividend.
  const rest = ((nanoseconds % nanosecondsPerSecond) + nanosecondsPerSecond) % nanosecondsPerSecond;
  return { seconds: Number((nanoseconds - rest) / nanosecondsPerSecond), nanoseconds: Number(rest) };
}
