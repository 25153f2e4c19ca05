/** The file of a unix socket. @module */
import { lstatSync, type Stats, statSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';

/**
 * Removes the file of a unix socket that nobody listens on, as a service leaves it that is killed.
 *
 * @throws as `findStale`
 */
export async function removeStale(path: string): Promise<void> {
  const stale = await findStale(path);
  // Another service may have begun to listen there meanwhile.
  if (stale && lstatSync(path, { throwIfNoEntry: false })?.ino === stale.ino) unlinkSync(path);
}

/**
 * The file of a unix socket that nobody listens on; undefined where there is no file.
 *
 * @throws Error with a `code` when somebody listens, or the file is something else
 */
export async function findStale(path: string): Promise<Stats | undefined> {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (!there) return undefined;
  if (!there.isSocket()) throw inUse(path, 'there is a file that is no socket');
  if (await isListenedTo(path)) throw inUse(path, 'another process listens there');
  return there;
}

function inUse(path: string, why: string): Error {
  return Object.assign(new Error(`unix:${path}: ${why}`), { code: 'EADDRINUSE' });
}

// Only a socket that nobody listens on refuses. It is left as it is where that can't be seen, and listening fails.
function isListenedTo(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}

/** Removes a socket's file. Another service's is left alone; one that can't be removed is taken for stale by the next service. */
export function removeSocket(path: string, inode: number | undefined): void {
  try {
    if (statSync(path).ino === inode) unlinkSync(path);
  } catch {
    // It is gone, or its folder is not ours to change.
  }
}
