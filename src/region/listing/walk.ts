/** The names below a folder, in order, from anywhere on. @module */
import { SystemError } from '../../relay/relay.ts';
import { compareBytes } from './byte-order.ts';
import type { FolderKeys, Folders } from './folder.ts';
import { Slices } from './slices.ts';

/** Which names are wanted. */
export type Wanted = {
  /** A wanted name comes after this one; empty: all do. */
  readonly after: string;
  /** A wanted name begins with this. */
  readonly prefix: string;
  /** Whether there can be names below a folder: it is not read otherwise. */
  enters(folder: string): boolean;
};

/** How many names are given at a time. */
const namesAtOnce = 64;

/** What a folder below the top can't be read for: it is gone, or another thing by now, or not for us. */
const leftOut: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ESTALE', 'EACCES', 'EPERM']);

type Level = {
  /** Its path with a slash at its end; empty at the top. */
  readonly folder: string;
  readonly keys: FolderKeys;
};

/**
 * Names every file and link below a directory, relative to it, in the order of the bytes of their UTF-8. It enters no
 * links, and no folders without wanted names. It leaves out folders that are gone or forbidden. What stays meanwhile is
 * named once.
 *
 * @throws SystemError when a folder can't be read for another reason, or `root` can't be at all
 */
export async function* walkTree(folders: Folders, root: string, wanted: Wanted): AsyncGenerator<readonly string[]> {
  const walk = new Walk(folders, root, wanted);
  await walk.open('');
  for (let names = await walk.some(); names.length > 0; names = await walk.some()) yield names;
}

class Walk {
  readonly #folders: Folders;
  readonly #root: string;
  readonly #wanted: Wanted;
  readonly #slices = new Slices();
  /** The folders from the top down to where the walk is. */
  readonly #levels: Level[] = [];

  constructor(folders: Folders, root: string, wanted: Wanted) {
    this.#folders = folders;
    this.#root = root;
    this.#wanted = wanted;
  }

  /** The next names; none at the end. */
  async some(): Promise<readonly string[]> {
    const names: string[] = [];
    for (let level = this.#levels.at(-1); level && names.length < namesAtOnce; level = this.#levels.at(-1)) {
      const key = level.keys.next();
      if (key === undefined) await this.#readOn(level);
      else if (key.endsWith('/')) await this.#enter(level.folder + key);
      else this.#take(level.folder + key, names);
      if (this.#slices.isOver) await this.#slices.rest();
    }
    return names;
  }

  // A folder's keys are in order: with the first one behind the prefix it has ended.
  #take(name: string, names: string[]): void {
    const { after, prefix } = this.#wanted;
    if (!name.startsWith(prefix)) this.#levels.pop();
    else if (name !== after) names.push(name);
  }

  async #enter(folder: string): Promise<void> {
    const { prefix, enters } = this.#wanted;
    if (!folder.startsWith(prefix) && !prefix.startsWith(folder)) this.#levels.pop();
    else if (enters(folder.slice(0, -1))) await this.#unlessGone(() => this.open(folder));
  }

  async #readOn({ keys }: Level): Promise<void> {
    const hasMore = await this.#unlessGone(() => keys.more());
    if (!hasMore) this.#levels.pop();
  }

  async #unlessGone<Result>(act: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await act();
    } catch (error) {
      if (error instanceof SystemError && leftOut.has(error.code)) return undefined;
      throw error;
    }
  }

  async open(folder: string): Promise<void> {
    const { after, prefix } = this.#wanted;
    const [first, second] = [boundIn(folder, after), boundIn(folder, prefix)];
    const bound = compareBytes(first, second) < 0 ? second : first;
    const keys = await this.#folders.keys(`${this.#root}/${folder}`, bound);
    this.#levels.push({ folder, keys });
  }
}

/** The key in a folder from which names can come that are not below `path`. */
function boundIn(folder: string, path: string): string {
  if (!path.startsWith(folder)) return '';
  const rest = path.slice(folder.length);
  const slash = rest.indexOf('/');
  return slash < 0 ? rest : rest.slice(0, slash + 1);
}
