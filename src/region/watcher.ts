import { type FSWatcher, watch } from 'node:fs';

/** So many files are watched at most; the others are looked at by and by. */
const mostWatched = 1024;

/** Changes come in crowds: one look for all that are told within so many milliseconds. */
const gatherMilliseconds = 10;

/**
 * Notices by inotify that others change, replace or remove files which nobody asks for, to let go of them. Requests
 * look themselves, for it tells too late.
 */
export class Watcher {
  readonly #onChange: (name: string) => void;
  readonly #watched = new Map<string, FSWatcher>();
  readonly #told = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(onChange: (name: string) => void) {
    this.#onChange = onChange;
  }

  /** Tells of changes of the file at `path` by `name`, unless too many are watched, here or in the kernel. */
  watch(name: string, path: string): void {
    if (this.#watched.has(name) || this.#watched.size >= mostWatched) return;
    try {
      const watcher = watch(path, { persistent: false }, () => this.#tell(name));
      watcher.on('error', () => this.unwatch(name));
      this.#watched.set(name, watcher);
    } catch {
      // ENOSPC, or nothing that can be watched: each request looks all the same.
    }
  }

  unwatch(name: string): void {
    this.#watched.get(name)?.close();
    this.#watched.delete(name);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const name of [...this.#watched.keys()]) this.unwatch(name);
  }

  #tell(name: string): void {
    this.#told.add(name);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const names = [...this.#told];
      this.#told.clear();
      for (const each of names) if (this.#watched.has(each)) this.#onChange(each);
    }, gatherMilliseconds).unref();
  }
}
