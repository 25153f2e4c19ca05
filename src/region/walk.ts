import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';

/**
 * Names every file and link below a directory, relative to it, in no order. Links to directories are not entered; a
 * directory that can't be read is left out.
 */
export async function walkTree(root: string): Promise<string[]> {
  const names: string[] = [];
  const waiting = [''];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    for (const entry of await entriesOf(`${root}/${folder}`)) {
      if (entry.isDirectory()) waiting.push(`${folder}${entry.name}/`);
      else if (entry.isFile() || entry.isSymbolicLink()) names.push(`${folder}${entry.name}`);
    }
  }
  return names;
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}
