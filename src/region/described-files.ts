/** Files of a tree, by what their sidecars say of them. @module */
import { constants } from 'node:os';
import { dirname } from 'node:path';
import type { Files } from '../relay/files.ts';
import { type FileIdentity, SystemError } from '../relay/relay.ts';
import { FileTags } from './file-tags.ts';
import { OwnMoves } from './own-moves.ts';
import {
  changedOf,
  DamagedSidecar,
  type Description,
  describe,
  describes,
  fileNameOf,
  isTouched,
  newDescription,
  readSidecar,
  regionsFolder,
  removeSidecar,
  type Sync,
  writeSidecar,
} from './sidecar.ts';
import { SidecarNames } from './sidecar-names.ts';
import type { StatePaths } from './state-folder.ts';

/**
 * Looks for files in the folder of sidecars, the first of them at least: what it found, or errno below zero.
 *
 * @throws SystemError where nobody can look into the folder
 */
export type LookForSidecars = (files: readonly string[]) => readonly (FileIdentity | number)[];

/** Reads and writes sidecars, and tells whether they are of a file. */
export class DescribedFiles {
  /** What this run does to names of files. */
  readonly moves = new OwnMoves();
  readonly #root: string;
  readonly #tree: string;
  readonly #tags: FileTags;
  readonly #sync: Sync | undefined;
  readonly #onDamage: (damage: DamagedSidecar) => void;
  readonly #look: LookForSidecars | undefined;
  readonly #sidecars: SidecarNames;
  /** Regions that have none, as `lookAhead` has found; empty again when the code that has called it pauses. */
  #without: ReadonlySet<string> = none;

  /** @param files undefined: nothing is written @param look undefined: each sidecar is looked for by itself */
  constructor(
    paths: StatePaths,
    files: Files | undefined,
    onDamage: (damage: DamagedSidecar) => void,
    tags = new FileTags(),
    look?: LookForSidecars,
  ) {
    this.#look = look;
    this.#sidecars = new SidecarNames(regionsFolder(paths.root));
    this.#root = paths.root;
    this.#tree = dirname(paths.root);
    this.#tags = tags;
    this.#sync = files && { file: (fd) => files.sync(fd), folder: (path) => files.syncFolder(path) };
    this.#onDamage = onDamage;
  }

  /** The name of a file's generation, told by the file alone. */
  tagOf(name: string, file: FileIdentity): string {
    return this.#tags.generationOf(file, `${this.#tree}/${name}`);
  }

  /**
   * Whether a description is of this file, and nobody else has touched it since. @param before the file as `moves`
   * knows it
   */
  isOf(description: Description, before: FileIdentity): boolean {
    if (!describes(description, before)) return false;
    return this.#tags.portable || [before, this.moves.asNow(before)].some((file) => !isTouched(description, file));
  }

  /** What a sidecar has on a file. One that others have touched keeps all but its name: its bytes may be others. */
  read(name: string, before: FileIdentity): Description | undefined {
    const description = this.#onDisk(name, before);
    if (!description || this.isOf(description, before)) return description;
    return { ...description, generation: this.tagOf(name, before), changed: changedOf(before) };
  }

  /** Finds out in one go which of these have no sidecar, for whoever reads them right after this, before it pauses. */
  lookAhead(names: readonly string[]): void {
    this.#without = this.#findWithout(names);
    queueMicrotask(() => {
      this.#without = none;
    });
  }

  /** What there is to say of a file that others made. */
  plain(name: string, file: FileIdentity, contentType?: string): Description {
    const before = this.moves.asBefore(file);
    return newDescription(before, this.tagOf(name, before), contentType);
  }

  /** The description with the ctime that the file has by now, where that is this run's doing. */
  asNow(description: Description, before: FileIdentity): Description {
    if (description.changed !== changedOf(before)) return description;
    return { ...description, changed: changedOf(this.moves.asNow(before)) };
  }

  /** Whether this run has written the sidecar of this region: another service may have written it anew. */
  isWrittenBy(run: string, name: string): boolean {
    try {
      return readSidecar(this.#root, name)?.descriptions.some((description) => description.run === run) ?? false;
    } catch {
      return false;
    }
  }

  /** Durably; nothing where nothing is written. @throws the file system's error */
  async write(name: string, descriptions: readonly Description[]): Promise<void> {
    if (this.#sync) await writeSidecar(this.#root, { name, descriptions }, this.#sync);
  }

  /** Writes a sidecar that may be lost; it may fail, too. */
  async writeUnsynced(name: string, description: Description): Promise<void> {
    const unsynced = { file: async () => {}, folder: async () => {} };
    await writeSidecar(this.#root, { name, descriptions: [description] }, unsynced).catch(() => {});
  }

  async remove(name: string): Promise<void> {
    await removeSidecar(this.#root, name);
  }

  #onDisk(name: string, file: FileIdentity): Description | undefined {
    try {
      if (this.#without.has(name)) return undefined;
      return describe(readSidecar(this.#root, name), file);
    } catch (error) {
      if (error instanceof DamagedSidecar) this.#onDamage(error);
      else if (!notOurs.has((error as NodeJS.ErrnoException).code)) throw asSystemError(error, name);
      return undefined;
    }
  }

  // Whoever reads one of them is told why nobody can look for it.
  #findWithout(names: readonly string[]): ReadonlySet<string> {
    try {
      const known = this.#sidecars.get();
      if (known?.size === 0) return new Set(names);
      const files = names.map(fileNameOf);
      if (known) return new Set(names.filter((_, at) => !known.has(files[at] ?? '')));
      const found = this.#look?.(files);
      return new Set(names.filter((_, at) => found?.[at] === missing));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      return none;
    }
  }
}

const none: ReadonlySet<string> = new Set();
const missing = -constants.errno.ENOENT;

// Where somebody else's file has the folder's name, or nobody may look into it, nothing is known.
const notOurs: ReadonlySet<unknown> = new Set(['ENOTDIR', 'EACCES', 'EPERM', 'ELOOP']);

function asSystemError(error: unknown, name: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? error : new SystemError(code, name, error);
}
