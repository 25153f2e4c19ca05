/** Looking at files of a tree in one go, as lists do. @module */
import type { FileIdentity, Relay, Tree } from '../../relay/relay.ts';
import { unlessFailed } from '../unless-failed.ts';

/** What a look at many has seen of one name; undefined where it has to be looked at by itself. */
export type Look = FileIdentity | undefined;

/**
 * Looks at the first of some names of a tree, in one folder and for a few milliseconds, one at least. Links and what is
 * missing are undefined: they have to be looked at by themselves.
 */
export function lookAtSome(relay: Relay, tree: Tree | undefined, names: readonly string[]): Look[] {
  const [first] = names;
  if (!tree || first === undefined) return [undefined];
  const folder = folderOf(first);
  const others = names.findIndex((name) => folderOf(name) !== folder);
  const inFolder = others < 0 ? names : names.slice(0, others);
  const cut = folder === '' ? 0 : folder.length + 1;
  const inside = inFolder.map((name) => name.slice(cut));
  // Where the folder can't be looked into, whoever looks at a name by itself is told why.
  const looks = unlessFailed(() => relay.identifySome(tree, folder, inside)) ?? [-1];
  return looks.map((look) => (typeof look === 'number' ? undefined : look));
}

function folderOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')));
}
