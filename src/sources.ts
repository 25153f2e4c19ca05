/** What the regions that are served lie on, and how each backing is sent: what a service says when it starts. @module */
import { opendir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Outgoing } from './http/read/outgoing.ts';
import type { Catalog, NamedFile } from './region/catalog.ts';
import { unlessFailed } from './region/unless-failed.ts';
import type { BackingEngine, EngineOfSources } from './relay/engine.ts';
import { NativeRelay } from './relay/native-relay.ts';
import type { Tree } from './relay/relay.ts';

/** How many entries of a tree are tried that takes no scratch file, to see a file that can be opened. */
const mostTries = 64;

/** The engine of each backing that the tree and the files are on; one entry for each device. */
export async function enginesOfSources(
  catalog: Catalog,
  outgoing: Outgoing,
  files: readonly NamedFile[],
): Promise<EngineOfSources[]> {
  const found = files.flatMap(({ name }) => engineOfRegion(catalog, outgoing, name));
  const { tree } = catalog;
  const ofTree = tree && (engineOfFolder(outgoing, tree) ?? (await engineOfAny(catalog, outgoing, tree)));
  if (tree && ofTree) found.unshift({ ...ofTree, sources: [`--dir ${tree.path}`] });
  return merge(found);
}

function engineOfRegion(catalog: Catalog, outgoing: Outgoing, name: string): EngineOfSources[] {
  const region = unlessFailed(() => catalog.find(name)); // Whoever asks for it is told what is wrong.
  return region ? [{ ...outgoing.engineOf(region), sources: [name] }] : [];
}

function engineOfFolder(outgoing: Outgoing, tree: Tree): BackingEngine | undefined {
  const { relay } = outgoing;
  const seen = relay instanceof NativeRelay ? relay.witness.ofFolder(tree.root) : undefined;
  return seen && outgoing.engineFor(seen);
}

// A file of a read-only tree tells what that lies on.
async function engineOfAny(catalog: Catalog, outgoing: Outgoing, tree: Tree): Promise<BackingEngine | undefined> {
  for await (const name of someFiles(tree.root)) {
    const region = unlessFailed(() => catalog.find(name));
    if (region) return outgoing.engineOf(region);
  }
  return undefined;
}

async function* someFiles(root: string): AsyncGenerator<string> {
  let entries = 0;
  try {
    for await (const entry of await opendir(root, { recursive: true })) {
      const name = relative(root, join(entry.parentPath, entry.name));
      if (entry.isFile()) yield name;
      if (++entries >= mostTries) return;
    }
  } catch {
    // A folder that can't be read has no regions either.
  }
}

function merge(found: readonly EngineOfSources[]): EngineOfSources[] {
  const merged = new Map<string, EngineOfSources>();
  for (const each of found) {
    const key = `${each.backing} ${each.engine} ${each.because}`;
    merged.set(key, { ...each, sources: [...(merged.get(key)?.sources ?? []), ...each.sources] });
  }
  return [...merged.values()];
}
