/** Bytes of a region that were answered for before they were on their medium. @module */
import { closeSync } from 'node:fs';
import { missing } from '../../relay/file-identity.ts';
import { unlessFailed } from '../unless-failed.ts';
import type { Store } from './store.ts';

/** What a region's file holds is on its medium: a version that is written down from now on stands for these bytes. */
export async function syncRegion({ relay, tree }: Pick<Store, 'relay' | 'tree'>, name: string): Promise<void> {
  const fd = unlessFailed(() => relay.openFile(tree, name), missing);
  if (fd === undefined) return;
  try {
    await relay.files.sync(fd);
  } finally {
    closeSync(fd);
  }
}
