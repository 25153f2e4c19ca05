/** How files that others made are told apart. @module */
import { statfsSync } from 'node:fs';
import { changedAt, modifiedAt } from '../relay/file-identity.ts';
import type { FileIdentity } from '../relay/relay.ts';
import { generationOfFile } from './validator.ts';

/**
 * File systems (statfs(2), `f_type`) that can give a file another inode number when it is looked up or mounted again:
 * FUSE servers choose it, FAT, exFAT and SMB store none, and union file systems show those of their layers.
 */
const withoutLastingInodes: ReadonlySet<number> = new Set([
  0x65735546, // FUSE, and virtiofs
  0x794c7630, // overlayfs
  0x61756673, // aufs
  0x4d44, // FAT
  0x2011bab0, // exFAT
  0xff534d42, // SMB 1
  0xfe534d42, // SMB 2 and 3
]);

/** Names the generations of files that others made. */
export class FileTags {
  /** Whether copies of equal size and mtime have one name, on whatever machine and in whatever inode they are. */
  readonly portable: boolean;
  readonly #fileSystemOf: (path: string) => number | undefined;
  readonly #lasting = new Map<number, boolean>();

  /** @param fileSystemOf for tests: the `f_type` of what a path is on */
  constructor(portable = false, fileSystemOf = typeOfFileSystem) {
    this.portable = portable;
    this.#fileSystemOf = fileSystemOf;
  }

  /**
   * The name of a file's generation. The device, whose number can change at a reboot, is no part of it. @param path
   * tells which file system the file is on
   */
  generationOf(file: FileIdentity, path: string): string {
    const { inode, size } = file;
    const modified = modifiedAt(file);
    if (this.portable) return generationOfFile({ inode: undefined, size, modified, changed: undefined });
    const lasting = this.#inodesLast(file, path) ? inode : undefined;
    return generationOfFile({ inode: lasting, size, modified, changed: changedAt(file) });
  }

  #inodesLast({ device }: FileIdentity, path: string): boolean {
    const known = this.#lasting.get(device);
    if (known !== undefined) return known;
    const type = this.#fileSystemOf(path);
    if (type === undefined) return true;
    const lasting = !withoutLastingInodes.has(type);
    this.#lasting.set(device, lasting);
    return lasting;
  }
}

// A file that has gone by now has no use for its name either.
function typeOfFileSystem(path: string): number | undefined {
  try {
    return statfsSync(path).type;
  } catch {
    return undefined;
  }
}
