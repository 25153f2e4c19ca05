/** Which engines send pages without a copy, seen on this machine and not concluded from its kernel's version. @module */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Backing, type Engine, engines, type Tree } from './relay.ts';
import { errnoName, type OpenedFile, type ScratchKind, type Shim } from './shim.ts';

/** `true`: the pages themselves are sent. `false`: they are copied. `null`: nobody could see, or it can't send at all. */
export type Verdict = boolean | null;

/** What was seen of each engine on one backing. */
export type Verdicts = Readonly<Record<Engine, Verdict>>;

/** The same with its backing. */
export type Seen = { readonly backing: Backing; readonly verdicts: Verdicts };

/** What one experiment showed; without a verdict, `failure` is the errno that it ended with, by name. */
export type Observation = { readonly copyFree: Verdict; readonly failure: string | undefined };

/** What was observed of each engine on one backing. */
export type Observations = Readonly<Record<Engine, Observation>>;

/** What is known where no experiment could be run. */
export const unseen: Verdicts = { sendfile: null, splice: null, zerocopy: null, copy: false, stream: false };

/** The engines that were seen to copy, by bit, as the shim takes them. */
export function copyingIn(verdicts: Verdicts): number {
  return engines.reduce((bits, engine, place) => bits | (Number(verdicts[engine] === false) << place), 0);
}

/** Runs the experiment once per backing and device, on scratch pages of the same kind: never on what is served. */
export class Witness {
  readonly #shim: Shim;
  readonly #seen = new Map<string, Seen>();
  readonly #byDevice = new Map<number, readonly Seen[]>();

  constructor(shim: Shim) {
    this.#shim = shim;
  }

  /** What was seen on the backing and the device of a generation that was opened by this path. */
  of(generation: Pick<OpenedFile, 'backing' | 'device'>, tree: Tree | undefined, path: string): Verdicts {
    const folder = tree ? `${tree.root}/${dirname(path)}` : dirname(path);
    return this.#once(generation.backing, generation.device, folder).verdicts;
  }

  /** What was seen on the backing that new files of a folder have; undefined where none can be made. */
  ofFolder(folder: string): Seen | undefined {
    const backing = this.#shim.witness('backing', 'folder', folder);
    return typeof backing === 'number' ? undefined : this.#once(backing, statSync(folder).dev, folder);
  }

  /** What was seen on a device; undefined where nothing was, or it has files of several backings (ext4, `dax=inode`). */
  onDevice(device: number): Seen | undefined {
    const [seen, ...others] = this.#byDevice.get(device) ?? [];
    return others.length === 0 ? seen : undefined;
  }

  /** All that was seen so far. */
  list(): readonly Seen[] {
    return [...this.#seen.values()];
  }

  /** Runs the experiment with each engine on scratch pages of this kind. */
  observe(scratch: ScratchKind, folder: string): Observations {
    const observed = engines.map((engine) => [engine, this.#observe(scratch, folder, engine)] as const);
    return Object.fromEntries(observed) as Observations;
  }

  #observe(scratch: ScratchKind, folder: string, engine: Engine): Observation {
    if (engine === 'stream') return { copyFree: false, failure: undefined }; // It reads into a buffer of its own.
    const result = this.#shim.witness('copyFree', scratch, folder, engine);
    if (result >= 0) return { copyFree: result === 1, failure: undefined };
    return { copyFree: unseen[engine], failure: errnoName(result) };
  }

  #once(backing: Backing, device: number, folder: string): Seen {
    const key = `${backing}:${device}`;
    const known = this.#seen.get(key);
    if (known) return known;
    const seen = { backing, verdicts: this.#verdicts(backing, folder) };
    this.#seen.set(key, seen);
    this.#byDevice.set(device, [...(this.#byDevice.get(device) ?? []), seen]);
    return seen;
  }

  #verdicts(backing: Backing, folder: string): Verdicts {
    const scratch = this.#scratchFor(backing, folder);
    if (!scratch) return unseen;
    const observed = Object.entries(this.observe(scratch, folder));
    return Object.fromEntries(observed.map(([engine, { copyFree }]) => [engine, copyFree])) as Verdicts;
  }

  // Pages of hugetlbfs may have another size than those of a memfd.
  #scratchFor(backing: Backing, folder: string): ScratchKind | undefined {
    const inFolder = backing === 'hugetlb' && this.#shim.witness('backing', 'folder', folder) === backing;
    return inFolder ? 'folder' : scratchOf[backing];
  }
}

// A devdax device that is in use has no pages to spare.
const scratchOf: Record<Backing, ScratchKind | undefined> = {
  fsdax: 'folder',
  devdax: undefined,
  hugetlb: 'hugetlb',
  tmpfs: 'folder',
  memfd: 'memfd',
  pagecache: 'folder',
};
