/** Files of a tree, by what their sidecars say of them. @module */
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
  hasSidecars,
  isTouched,
  readSidecar,
  removeSidecar,
  type Sync,
  traitsOf,
  writeSidecar,
} from './sidecar.ts';
import type { StatePaths } from './state-folder.ts';

/** Reads and writes sidecars, and tells whether they are of a file. */
export class DescribedFiles {
  /** What this run does to names of files. */
  readonly moves = new OwnMoves();
  readonly #root: string;
  readonly #tree: string;
  readonly #tags: FileTags;
  readonly #sync: Sync | undefined;
  readonly #onDamage: (damage: DamagedSidecar) => void;
  #hasAny: boolean | undefined;

  /** @param files undefined where nothing is written */
  constructor(
    paths: StatePaths,
    files: Files | undefined,
    onDamage: (damage: DamagedSidecar) => void,
    tags = new FileTags(),
  ) {
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
   * Whether a description is of this file, and nobody else has touched that since.
   *
   * @param before the file as `moves` knows it: it can have been described before this run moved its ctime, or after
   */
  isOf(description: Description, before: FileIdentity): boolean {
    if (!describes(description, before)) return false;
    return this.#tags.portable || [before, this.moves.asNow(before)].some((file) => !isTouched(description, file));
  }

  /**
   * What a sidecar has on a file. One that others have touched keeps all but its name: its bytes may be others.
   *
   * @param ofMany whether many are read in a row: then the folder of sidecars is looked for first, once for all of them
   */
  read(name: string, before: FileIdentity, ofMany = false): Description | undefined {
    const description = this.#onDisk(name, before, ofMany);
    if (!description || this.isOf(description, before)) return description;
    return { ...description, generation: this.tagOf(name, before), changed: changedOf(before) };
  }

  /** What there is to say of a file that others made. */
  plain(name: string, file: FileIdentity): Description {
    const before = this.moves.asBefore(file);
    return {
      ...traitsOf(before),
      generation: this.tagOf(name, before),
      ...{ contentType: undefined, epoch: 0, version: 0, run: undefined, size: file.size, cut: false },
    };
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

  /** Where it may be lost, and fail. */
  async writeUnsynced(name: string, description: Description): Promise<void> {
    const unsynced = { file: async () => {}, folder: async () => {} };
    await writeSidecar(this.#root, { name, descriptions: [description] }, unsynced).catch(() => {});
  }

  async remove(name: string): Promise<void> {
    await removeSidecar(this.#root, name);
  }

  #onDisk(name: string, file: FileIdentity, ofMany: boolean): Description | undefined {
    try {
      if (ofMany && !this.#looksForAny()) return undefined;
      return describe(readSidecar(this.#root, name), file);
    } catch (error) {
      if (error instanceof DamagedSidecar) this.#onDamage(error);
      else if (!notOurs.has((error as NodeJS.ErrnoException).code)) throw asSystemError(error, name);
      return undefined;
    }
  }

  // The answer is good until the code that runs now pauses: before that, nothing that this process writes is over.
  #looksForAny(): boolean {
    if (this.#hasAny !== undefined) return this.#hasAny;
    queueMicrotask(() => {
      this.#hasAny = undefined;
    });
    this.#hasAny = hasSidecars(this.#root);
    return this.#hasAny;
  }
}

// Where somebody else's file has the folder's name, or nobody may look into it, nothing is known.
const notOurs: ReadonlySet<unknown> = new Set(['ENOTDIR', 'EACCES', 'EPERM', 'ELOOP']);

function asSystemError(error: unknown, name: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? error : new SystemError(code, name, error);
}
