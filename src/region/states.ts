/** What is known of regions beyond their files: generations, versions, media types, logical sizes. @module */
import { randomBytes } from 'node:crypto';
import { fileOf } from '../relay/file-identity.ts';
import type { FileIdentity } from '../relay/relay.ts';
import type { DescribedFiles } from './described-files.ts';
import { FileChange, type Own } from './file-change.ts';
import type { GivenMoves, OwnMoves } from './own-moves.ts';
import { changedOf, type Description, traitsOf } from './sidecar.ts';

/** How a file is to be served. */
export type State = {
  /** Names the generation. */
  readonly generation: string;
  readonly epoch: number;
  readonly version: number;
  /** The media type that was given when the region was made; undefined: the name decides. */
  readonly contentType: string | undefined;
  /** Whether its content was ever changed in place: then its date is a weak validator (RFC 9110 8.8.2.2). */
  readonly inPlace: boolean;
  /** Bytes to serve where the file has more, which are to be cut; undefined: all. */
  readonly limit: number | undefined;
};

/** What a run knows beyond sidecars; it can be sent to another process. */
export type GivenStates = {
  readonly run: string;
  readonly own: readonly (readonly [name: string, description: Own['description']])[];
  readonly lost: readonly string[];
  readonly left: readonly string[];
  readonly refused: readonly string[];
  readonly moved: readonly (readonly [name: string, before: FileIdentity])[];
  readonly moves: GivenMoves;
};

/**
 * Knows sidecars, and what this run has changed since they were written. Whoever changes a region calls, in this order:
 *
 * - in place: `openEpoch`, `begin`, and what `FileChange` has (`Change` does all of it);
 * - to give a name another file, or none: `replacing` or `removing`; then `replaced` or `forget`, or `unreplaced`;
 * - to cut what nobody is served: `whileCutting`; where nothing could be written down before: `cutUnsaid`.
 */
export class RegionStates {
  /** Names this service run in sidecars. */
  run: string = randomBytes(8).toString('hex');
  /** What sidecars say of the tree's files. */
  readonly files: DescribedFiles;
  /** What this run does to names of files. */
  readonly moves: OwnMoves;
  readonly #own = new Map<string, Own>();
  /** Changed in place by this run, and then by others: what their sidecars say is about neither. */
  readonly #lost = new Set<string>();
  readonly #left = new Set<string>();
  /** Regions whose files had their ctime moved by this run, as they were before. */
  readonly #moved = new Map<string, FileIdentity>();
  readonly #refused = new Set<string>();

  constructor(files: DescribedFiles) {
    this.files = files;
    this.moves = files.moves;
  }

  /** Nobody may have this region: its file holds bytes that nobody has written. */
  refuse(name: string): void {
    this.#refused.add(name);
  }

  isRefused(name: string): boolean {
    return this.#refused.has(name);
  }

  /** The state of a region whose file is this one. */
  of(region: string, file: FileIdentity): State {
    const before = this.#asBefore(region, file);
    const description = this.#describe(region, before);
    if (!description) return stateOfFile(this.files.tagOf(region, before));
    const { generation, epoch, version, contentType, size, cut } = description;
    const limit = cut ? size : undefined;
    if (version !== undefined) return { generation, epoch, version, contentType, limit, inPlace: epoch > 0 };
    // Another service may be changing it right now, and alone knows the version. Its file's time has to do.
    const name = `${generation}.${epoch}.${this.files.tagOf(region, before)}`;
    return { ...untouched, generation: name, contentType, limit, inPlace: true };
  }

  /** The size of a region whose file is this one. It takes less than `of`, which computes a tag. */
  sizeOf(region: string, file: FileIdentity): number {
    const { size, cut } = this.describe(region, file) ?? { size: file.size, cut: false };
    return cut ? size : file.size;
  }

  /** What a file is described by now, for whoever replaces it. */
  describe(name: string, file: FileIdentity): Description | undefined {
    return this.#describe(name, this.#asBefore(name, file));
  }

  /** The epoch that this run has opened for this file; undefined where it has not. */
  epochOf(name: string, file: FileIdentity): number | undefined {
    return this.#ownOf(name, this.#asBefore(name, file))?.description.epoch;
  }

  /** Makes it durable, once, that this run changes a region in place. Gives the epoch. */
  async openEpoch(name: string, file: FileIdentity, state: State): Promise<number> {
    const known = this.epochOf(name, file);
    if (known !== undefined) return known;
    const description = {
      ...traitsOf(this.#asBefore(name, file)),
      generation: state.generation,
      contentType: state.contentType,
      epoch: state.epoch + 1,
      run: undefined,
      size: state.limit ?? file.size,
      cut: state.limit !== undefined,
    };
    await this.files.write(name, [{ ...description, version: undefined, run: this.run }]);
    this.#own.set(name, { description: { ...description, version: 0 }, changes: 0 });
    this.#lost.delete(name);
    return description.epoch;
  }

  /**
   * Begins a change of the file: until it ends, nobody else has changed size and time. Moves the version where one is
   * given.
   */
  begin(name: string, inode: number, version?: number): FileChange {
    const own = this.#own.get(name);
    const known = () => (own?.description.inode === inode && this.#own.get(name) === own ? own : undefined);
    const change = new FileChange(known, (description) =>
      this.files.write(name, [{ ...description, version: undefined, run: this.run }]),
    );
    if (version !== undefined) change.move(version);
    return change;
  }

  /**
   * Runs `act`, which cuts a region's open file to the region's size. A crash at any moment leaves a sidecar that fits
   * the file.
   */
  async whileCutting(name: string, fd: number, size: number, act: () => Promise<void>): Promise<void> {
    const file = fileOf(fd);
    const isOpen = this.#own.get(name)?.description.inode === file.inode;
    const before = isOpen ? undefined : this.describe(name, file);
    const change = this.begin(name, file.inode);
    if (before) await this.files.write(name, [{ ...before, run: this.run }]);
    try {
      await act();
    } finally {
      const after = fileOf(fd);
      change.end(after, size);
      if (before) await this.settle(name, before, after, after.size > size);
    }
  }

  /**
   * Writes down a region that this run has not changed in place. @param cut whether its file has bytes behind the
   * region's end
   */
  async settle(name: string, description: Description, file: FileIdentity, cut: boolean): Promise<void> {
    const size = cut ? description.size : file.size;
    await this.files.write(name, [{ ...description, ...traitsOf(file), run: undefined, size, cut }]);
  }

  /**
   * Prepares durably that a file takes a name: describes both files, without the ctimes that this moves, for either may
   * have the name after a crash.
   */
  async replacing(name: string, before: FileIdentity | undefined, after: Description): Promise<void> {
    const both = before ? [this.#described(name, before), after] : [after];
    const unmoved = both.map((each) => ({ ...each, changed: undefined }));
    await this.files.write(name, unmoved);
  }

  /** The new file has the name. The old description goes, for its inode can become another file's. */
  async replaced(name: string, after: Description): Promise<void> {
    await this.forget(name, false);
    await this.files.writeUnsynced(name, after); // Should it be lost, both are remembered as before.
  }

  /** Prepares that a file loses its name. It gets another one first, which moves its ctime. */
  async removing(name: string, before: FileIdentity): Promise<void> {
    await this.files.write(name, [{ ...this.#described(name, before), changed: undefined }]);
  }

  /** The old file has kept its name after all. */
  async unreplaced(name: string, before: FileIdentity): Promise<void> {
    const changed = changedOf(this.moves.asNow(this.moves.asBefore(before)));
    await this.files.writeUnsynced(name, { ...this.#described(name, before), changed });
  }

  /**
   * A region's file was cut before anything could be written down, as if by others. It keeps its media type if there is
   * room again.
   */
  async cutUnsaid(name: string, file: FileIdentity, contentType: string | undefined): Promise<void> {
    await this.forget(name, false);
    if (contentType !== undefined) await this.files.writeUnsynced(name, this.files.plain(name, file, contentType));
  }

  /** The name has another file, or none. */
  async forget(name: string, removed: boolean): Promise<void> {
    this.#own.delete(name);
    this.#lost.delete(name);
    this.#moved.delete(name);
    if (removed) await this.files.remove(name);
  }

  /** Somebody may go on changing this region when this run has ended: the next one treats it as after a crash. */
  leaveOpen(name: string): void {
    this.#left.add(name);
  }

  /**
   * All that is known beyond sidecars, for the process that goes on with this run. Nothing may be changing; only what
   * other processes have leases on has begun, and goes on there.
   */
  give(): GivenStates {
    const own = [...this.#own].map(([name, { description }]) => [name, description] as const);
    const [lost, left, refused] = [[...this.#lost], [...this.#left], [...this.#refused]];
    return { run: this.run, own, lost, left, refused, moved: [...this.#moved], moves: this.moves.give() };
  }

  /** Goes on with the run of another process. Nothing was asked of it yet. */
  takeOver({ run, own, lost, left, refused, moved, moves }: GivenStates): void {
    this.run = run;
    for (const [name, description] of own) this.#own.set(name, { description, changes: 0 });
    for (const name of lost) this.#lost.add(name);
    for (const name of left) this.#left.add(name);
    for (const name of refused) this.#refused.add(name);
    for (const [name, file] of moved) this.#moved.set(name, file);
    this.moves.takeOver(moves);
  }

  /** Regions that this run has changed in place. */
  changedInPlace(): Iterable<string> {
    return this.#own.keys();
  }

  /** Writes down how far this run came, so that a restart changes no validator. */
  async close(): Promise<void> {
    for (const [name, file] of this.#moved) if (!this.#own.has(name)) await this.#keepTag(name, file);
    for (const [name, { description }] of this.#own) {
      const moved = this.#moved.get(name);
      if (!this.#left.has(name))
        await this.files.write(name, [moved ? this.files.asNow(description, moved) : description]);
    }
    for (const name of this.#lost) if (this.files.isWrittenBy(this.run, name)) await this.files.remove(name);
    this.#own.clear();
    this.#lost.clear();
    this.#moved.clear();
  }

  // After a restart nobody knows who has moved the ctime of this file.
  async #keepTag(name: string, file: FileIdentity): Promise<void> {
    const description = this.#describe(name, file) ?? this.files.plain(name, file);
    if (description.version !== undefined) await this.files.write(name, [this.files.asNow(description, file)]);
  }

  #asBefore(name: string, file: FileIdentity): FileIdentity {
    const before = this.moves.asBefore(file);
    if (before === file) this.#moved.delete(name);
    else this.#moved.set(name, before);
    return before;
  }

  #ownOf(name: string, file: FileIdentity): Own | undefined {
    const own = this.#own.get(name);
    if (!own) return undefined;
    if (own.changes > 0 ? own.description.inode === file.inode : this.files.isOf(own.description, file)) return own;
    this.#own.delete(name);
    this.#lost.add(name);
    return undefined;
  }

  // Describes any file, without a version where this run changes it in place.
  #described(name: string, file: FileIdentity): Description {
    const described = this.describe(name, file) ?? this.files.plain(name, file);
    return this.#own.has(name) ? { ...described, version: undefined, run: this.run } : described;
  }

  #describe(name: string, before: FileIdentity): Description | undefined {
    return this.#ownOf(name, before)?.description ?? this.files.read(name, before);
  }
}

const untouched = { epoch: 0, version: 0, contentType: undefined, limit: undefined, inPlace: false } as const;

/** The state of a file that nothing is known of but what its generation is called. */
export function stateOfFile(generation: string): State {
  return { ...untouched, generation };
}
