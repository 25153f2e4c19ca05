/** Which sidecars there are, so that a list need not look for each one that is not there. @module */
import { opendirSync, statSync } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';
import { settledMilliseconds, stampOf } from './folder-stamp.ts';

/** A folder of more sidecars is not remembered. */
const mostKept = 10_000;

/** How many names of another folder are read at once: that takes less than looking for a few of them. */
const mostAtOnce = 100;

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
    const { stamp, changedAt } = stampOf(status);
    if (stamp === this.#stamp) return this.#names;
    if (changedAt <= Date.now() - settledMilliseconds && !this.#isReading) void this.#read(stamp);
    return fewIn(this.#folder);
  }

  async #read(stamp: string): Promise<void> {
    this.#isReading = true;
    try {
      const names = await namesIn(this.#folder);
      if (stampOf(await stat(this.#folder, { bigint: true })).stamp !== stamp) return;
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
