/** Which sidecars there are, so that a list need not look for each one that is not there. @module */
import { type BigIntStats, opendirSync, statSync } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';

/** A folder of more sidecars is not remembered. */
const mostKept = 10_000;

/** Of a folder that is not remembered, so many names are read at once: that takes less than to look for a few of them. */
const mostAtOnce = 100;

/**
 * Milliseconds: a folder is only remembered that had not changed for so long before it was read. A change within the
 * granularity of its times (2 s on FAT) could not be seen later.
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

  /** The names that are there at this moment; undefined where it would take long to read them, which is begun meanwhile. */
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

// One call of the kernel gives all of them, and holds changes of the folder back meanwhile; undefined where they are too many.
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
