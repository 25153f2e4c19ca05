/** What is in one folder, in order, within bounded memory however much it is. @module */
import type { Dir, Dirent } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';
import { LRUCache } from 'lru-cache';
import { SystemError } from '../../relay/relay.ts';
import { type FolderStamp, settledMilliseconds, stampOf } from '../folder-stamp.ts';
import { compareBytes, firstFrom } from './byte-order.ts';
import { Merge } from './merge.ts';

/** How many entries are read and sorted at a time. */
const readAtOnce = 1024;

/** A folder of fewer entries is read each time: that costs no more than looking whether it has changed. */
const leastKept = 256;

/** How long a folder that was read is remembered, for the next page of a list. */
const keptMilliseconds = 60_000;

/** What a socket, a device or a FIFO has for a key. */
const noKey = '';

/** What is kept of folders. */
export type FolderLimits = {
  /** Characters: of one folder so much is in memory at a time. */
  readonly window: number;
  /** Characters: of all folders that are remembered. */
  readonly kept: number;
  /** Folders: so many are remembered. Lists are in few at a time, and all that were read would be the names of all regions. */
  readonly folders: number;
  /** Milliseconds, as `settledMilliseconds`. */
  readonly settled: number;
};

const usualLimits: FolderLimits = { window: 32 << 20, kept: 32 << 20, folders: 16, settled: settledMilliseconds };

/**
 * The keys of a folder from `from` on and below `ceiling` (undefined: all), in sorted arrays. A key is a name, of a
 * folder with a slash behind it, so that keys sort like paths.
 */
type Window = {
  readonly from: string;
  readonly ceiling: string | undefined;
  readonly runs: readonly (readonly string[])[];
  readonly characters: number;
};

type Kept = Window & { readonly stamp: string };

/** Reads folders. */
export class Folders {
  /** How often one was read, and not remembered. */
  reads = 0;
  readonly #limits: FolderLimits;
  readonly #kept: LRUCache<string, Kept>;
  readonly #reading = new Map<string, Promise<Window>>();
  readonly #next = new Map<string, Promise<Window>>();

  constructor(given: Partial<FolderLimits> = {}) {
    const limits = { ...usualLimits, ...given };
    this.#limits = limits;
    this.#kept = new LRUCache({
      max: limits.folders,
      maxSize: limits.kept,
      sizeCalculation: ({ characters }) => Math.max(1, characters),
      ttl: keptMilliseconds,
      ttlAutopurge: true,
    });
  }

  /**
   * The keys of a folder that are not below `from`, in the order of their bytes. @throws SystemError when it can't be
   * read
   */
  async keys(path: string, from: string): Promise<FolderKeys> {
    const keys = new FolderKeys((bound, isBehind) => this.#window(path, bound, isBehind));
    await keys.open(from, false);
    return keys;
  }

  /** Forgets what was read. */
  close(): void {
    this.#kept.clear();
  }

  async #window(path: string, from: string, isBehind: boolean): Promise<Window> {
    const kept = this.#kept.get(path);
    if (kept && covers(kept, from) && (await lookAt(path))?.stamp === kept.stamp) return kept;
    if (isBehind) return this.#readOnce(path, from);
    // A folder is read from its beginning where it fits, for then the window is good for every page.
    const read = await this.#readOnce(path, '');
    return covers(read, from) ? read : this.#readOnce(path, from);
  }

  // Whoever lists a folder that is being read shares the next reading, so that nobody gets what was there before.
  #readOnce(path: string, from: string): Promise<Window> {
    const key = `${path}\0${from}`;
    const now = this.#reading.get(key);
    const next = this.#next.get(key);
    if (next) return next;
    if (!now) return this.#begin(key, path, from);
    const begin = () => {
      this.#next.delete(key);
      return this.#begin(key, path, from);
    };
    const later = now.then(begin, begin);
    this.#next.set(key, later);
    return later;
  }

  #begin(key: string, path: string, from: string): Promise<Window> {
    const reading = this.#read(path, from).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }

  async #read(path: string, from: string): Promise<Window> {
    const began = Date.now();
    this.reads++;
    const reader = new Reader(from, this.#limits.window);
    await readAll(path, reader);
    const window = reader.window();
    const look = reader.entries >= leastKept ? await lookAt(path) : undefined;
    if (look && look.changedAt <= began - this.#limits.settled) this.#kept.set(path, { ...window, stamp: look.stamp });
    return window;
  }
}

/** Gives the keys of one folder, one after the other. */
export class FolderKeys {
  readonly #window: (from: string, isBehind: boolean) => Promise<Window>;
  #merge = new Merge([], '');
  #ceiling: string | undefined;

  /** @param window reads what is in memory at a time; `isBehind`: from where the last one ended */
  constructor(window: (from: string, isBehind: boolean) => Promise<Window>) {
    this.#window = window;
  }

  async open(from: string, isBehind: boolean): Promise<void> {
    const { runs, ceiling } = await this.#window(from, isBehind);
    this.#merge = new Merge(runs, from);
    this.#ceiling = ceiling;
  }

  /** The next key; undefined when there is none, unless `more` gives one. */
  next(): string | undefined {
    return this.#merge.next();
  }

  /** Reads on where a folder does not fit into memory. Whether there can be more keys. */
  async more(): Promise<boolean> {
    if (this.#ceiling === undefined) return false;
    await this.open(this.#ceiling, true);
    return true;
  }
}

/** Keeps the first keys from a bound on, as many as fit. */
class Reader {
  entries = 0;
  readonly #from: string;
  readonly #most: number;
  #ceiling: string | undefined;
  #runs: string[][] = [];
  #characters = 0;

  constructor(from: string, most: number) {
    this.#from = from;
    this.#most = most;
  }

  /** Takes some keys, in no order. */
  add(keys: readonly string[]): void {
    this.entries += keys.length;
    const run = keys.filter((key) => this.#isWanted(key)).sort(compareBytes);
    if (run.length === 0) return;
    this.#runs.push(run);
    this.#characters += sizeOf(run);
    while (this.#characters > this.#most && this.#shrink());
  }

  window(): Window {
    return { from: this.#from, ceiling: this.#ceiling, runs: this.#runs, characters: this.#characters };
  }

  #isWanted(key: string): boolean {
    if (key === noKey) return false;
    return compareBytes(key, this.#from) >= 0 && (this.#ceiling === undefined || compareBytes(key, this.#ceiling) < 0);
  }

  // The median of the medians has at least a quarter of the keys at or above it.
  #shrink(): boolean {
    const medians = this.#runs.map((run) => run[run.length >> 1] ?? '').sort(compareBytes);
    const ceiling = medians[medians.length >> 1];
    const kept = this.#runs
      .map((run) => run.slice(0, firstFrom(run, ceiling ?? '')))
      .filter(({ length }) => length > 0);
    if (kept.length === 0) return false; // One key is left.
    this.#ceiling = ceiling;
    this.#runs = kept;
    this.#characters = kept.reduce((sum, run) => sum + sizeOf(run), 0);
    return true;
  }
}

function sizeOf(run: readonly string[]): number {
  return run.reduce((sum, key) => sum + key.length, 0);
}

function covers({ from, ceiling }: Window, bound: string): boolean {
  return compareBytes(from, bound) <= 0 && (ceiling === undefined || compareBytes(bound, ceiling) < 0);
}

// One turn of the event loop takes what one read has given.
async function readAll(path: string, reader: Reader): Promise<void> {
  try {
    const dir = await opendir(path, { bufferSize: readAtOnce });
    try {
      for (let keys = await readSome(dir); keys.length > 0; keys = await readSome(dir)) reader.add(keys);
    } finally {
      await dir.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === undefined ? error : new SystemError(code, path, error);
  }
}

// The first read fills the buffer on another thread; those after it take from there, and return at once.
async function readSome(dir: Dir): Promise<string[]> {
  const keys: string[] = [];
  let entry = await dir.read();
  for (; entry; entry = keys.length < readAtOnce ? dir.readSync() : null) keys.push(keyOf(entry));
  return keys;
}

function keyOf(entry: Dirent): string {
  if (entry.isDirectory()) return `${entry.name}/`;
  return entry.isFile() || entry.isSymbolicLink() ? entry.name : noKey;
}

// It is undefined where the folder can't be seen: then nothing that is remembered is believed.
async function lookAt(path: string): Promise<FolderStamp | undefined> {
  return stat(path, { bigint: true }).then(stampOf, () => undefined);
}
