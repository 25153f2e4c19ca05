/** What an overwrite in place is undone by when it fails, or when the process dies in the middle of it. @module */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, unlinkSync } from 'node:fs';
import { rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Files } from '../relay/files.ts';
import type { StatePaths } from './state-folder.ts';

/** Which bytes of which file an undo holds. */
export type Undone = {
  readonly name: string;
  readonly inode: number;
  readonly offset: number;
  readonly length: number;
};

const noteEnding = '.undo.json';
const restoreTries = 5;
const restorePause = 50; // milliseconds

/** The bytes that were there before. */
export class Undo {
  readonly #files: Files;
  readonly #undone: Undone;
  readonly #path: string;
  readonly #fd: number;
  #noted = false;

  private constructor(files: Files, paths: StatePaths, undone: Undone) {
    this.#files = files;
    this.#undone = undone;
    this.#path = join(paths.uploads, `${randomBytes(12).toString('hex')}.undo`);
    this.#fd = openSync(this.#path, 'wx+', 0o600);
  }

  /**
   * Keeps bytes of a file.
   *
   * @param noted also for a start after a crash: where pages are punched out, they are zeros for a moment. A process's
   * death is survived without a sync, and a machine's takes the pages of tmpfs with it.
   * @throws SystemError
   */
  static async keep(files: Files, paths: StatePaths, fd: number, undone: Undone, noted: boolean): Promise<Undo> {
    const undo = new Undo(files, paths, undone);
    try {
      await files.copy(fd, undone.offset, undo.#fd, 0, undone.length);
      if (noted) await undo.#note();
      return undo;
    } catch (error) {
      await undo.discard();
      throw error;
    }
  }

  async #note(): Promise<void> {
    const note = `${this.#path}.json`;
    await writeFile(`${note}.new`, JSON.stringify(this.#undone));
    await rename(`${note}.new`, note);
    this.#noted = true;
  }

  /** Writes the bytes back. Whether that could be done. */
  async restore(fd: number): Promise<boolean> {
    for (let tries = 0; tries < restoreTries; tries++) {
      try {
        await this.#files.copy(this.#fd, 0, fd, this.#undone.offset, this.#undone.length);
        await this.#files.sync(fd);
        return true;
      } catch {
        await delay(restorePause);
      }
    }
    return false;
  }

  /** The bytes can't be written back now: the next start shall try. */
  async leave(): Promise<void> {
    if (!this.#noted) await this.#note();
    closeSync(this.#fd);
  }

  /** They are not needed any more. */
  async discard(): Promise<void> {
    if (this.#noted) await unlink(`${this.#path}.json`);
    closeSync(this.#fd);
    await unlink(this.#path);
  }
}

/** What is undone by a note that a crash left behind: its bytes are in the file of the same name without `.json`. */
export function readNote(folder: string, file: string): (Undone & { readonly bytes: string }) | undefined {
  if (!file.endsWith(noteEnding)) return undefined;
  const bytes = join(folder, file.slice(0, -'.json'.length));
  return { ...(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Undone), bytes };
}

/** Removes a note, and then its bytes. */
export function removeNote(folder: string, file: string, bytes: string): void {
  unlinkSync(join(folder, file));
  unlinkSync(bytes);
}
