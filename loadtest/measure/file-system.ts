/** What holds a file's pages. @module */
import { statfsSync } from 'node:fs';

/** Magic numbers of statfs(2). */
const names: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'tmpfs'],
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x794c7630, 'overlayfs'],
]);

/** The name of the file system of a folder. */
export function fileSystemOf(folder: string): string {
  const { type } = statfsSync(folder);
  return names.get(type) ?? `a file system of type 0x${type.toString(16)}`;
}
