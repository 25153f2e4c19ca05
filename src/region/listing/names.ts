/** The names of what is served, in the order of their bytes. @module */
import type { Tree } from '../../relay/relay.ts';
import { compareBytes, firstFrom } from './byte-order.ts';
import { Folders } from './folder.ts';
import { type Wanted, walkTree } from './walk.ts';

/** Which names are wanted. */
export type WantedNames = Omit<Wanted, 'enters'>;

/** Names files of a tree and files beside it. */
export class Names {
  readonly #tree: () => Tree | undefined;
  readonly #others: readonly string[];
  readonly #isName: (name: string) => boolean;
  readonly #folders = new Folders();

  /**
   * @param tree the one that is served now
   * @param others names that are regions wherever their files are
   * @param isName whether a region of the tree, or a folder of regions, can have a name
   */
  constructor(tree: () => Tree | undefined, others: Iterable<string>, isName: (name: string) => boolean) {
    this.#tree = tree;
    this.#others = [...others].sort(compareBytes);
    this.#isName = isName;
  }

  close(): void {
    this.#folders.close();
  }

  /** Gives names some at a time. @throws SystemError when a folder can't be read */
  async *some(wanted: WantedNames): AsyncGenerator<readonly string[]> {
    const { after, prefix } = wanted;
    const others = this.#others.filter((name) => compareBytes(name, after) > 0 && name.startsWith(prefix));
    for await (const names of this.#ofTree(wanted)) {
      const between = others.splice(0, firstFrom(others, names.at(-1) ?? ''));
      if (between.length === 0 && !others.includes(names.at(-1) ?? '')) {
        yield names;
        continue;
      }
      // A file of the tree that has the name of another region is not that region.
      yield [...names, ...between].sort(compareBytes).filter((name, at, all) => name !== all[at - 1]);
    }
    yield others;
  }

  async *#ofTree(wanted: WantedNames): AsyncGenerator<readonly string[]> {
    const tree = this.#tree();
    if (!tree) return;
    const walk = walkTree(this.#folders, tree.root, { ...wanted, enters: this.#isName });
    for await (const names of walk) yield names.filter((name) => this.#isName(name));
  }
}
