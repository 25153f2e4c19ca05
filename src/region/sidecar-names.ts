/** Which sidecars there are, so that a list need not look for each one that is not there. @module */
import { type BigIntStats, opendirSync, statSync } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';

/** A folder of more sidecars is not remembered. */
const mostKept = 10_000;

/** How many names of another folder are read at once: that takes less than looking for a few of them. */
const mostAtOnce = 100;

/**
 * Milliseconds: a folder that changed more recently is not remembered. File systems with coarse times (2 s on FAT)
 * would hide its next change.
 */
const settledMilliseconds = 3000;

/** Remembers the names in a folder for as long as its times stand. */
export class SidecarNames {
  readonly #folder: string;
  #stamp: string | undefined;
  #names: ReadonlySet<string> | undefined;
  #isReading = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The names that are there now; undefined where reading them takes long, which begins in the background. */
  get(): ReadonlySet<string> | undefined {
    const status = statSync(this.#folder, { bigint: true, throwIfNoEntry: false });
    if (!status) return none;
    if (stampOf(status) === this.#stamp) return this.#names;
    const isSettled = latestOf(status) <= Date.now() - settledMilliseconds;
    if (isSettled && !this.#isReading) void this.#read(stampOf(status));
    return fewIn(this.#folder);
  }

  async #read(stamp: string): Promise<void> {
    this.#isReading = true;
    try {
      const names = await namesIn(this.#folder);
      if (stampOf(await stat(this.#folder, { bigint: true })) !== stamp) return;
      this.#names = names;
      this.#stamp = stamp;
    } catch {
      // Whoever looks for a sidecar there is told why that fails.
    } finally {
      this.#isReading = false;
    }
  }
}

const none: ReadonlySet<string> = new Set();

// One call of the kernel gives all of them. Undefined where they are too many for that.
function fewIn(folder: string): ReadonlySet<string> | undefined {
  const names = new Set<string>();
  const entries = opendirSync(folder, { bufferSize: mostAtOnce + 1 });
  try {
    for (let entry = entries.readSync(); entry; entry = entries.readSync()) {
      if (names.size === mostAtOnce) return undefined;
      names.add(entry.name);
    }
    return names;
  } finally {
    entries.closeSync();
  }
}

// Undefined where there are too many, so that nobody reads them again before the folder changes.
async function namesIn(folder: string): Promise<ReadonlySet<string> | undefined> {
  const names = new Set<string>();
  for await (const { name } of await opendir(folder, { bufferSize: 1024 })) {
    names.add(name);
    if (names.size > mostKept) return undefined;
  }
  return names;
}

function stampOf({ dev, ino, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${mtimeNs}:${ctimeNs}`;
}

function latestOf({ mtimeMs, ctimeMs }: BigIntStats): number {
  return Number(mtimeMs > ctimeMs ? mtimeMs : ctimeMs);
}
