/**
 * Two files of one size and one mtime that are renamed over each other while they are read: each entity-tag must stand for
 * one content.
 *
 * @module
 */
import { renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { RawClient } from './raw.ts';
import { ask } from './requests.ts';
import type { Scope } from './scope.ts';
import { describePages, stampsOf } from './self-describing.ts';

const pages = 16;
const readers = 4;

/** What came of it. */
export type SwapResult = { readonly swaps: number; readonly responses: number; readonly faults: string[] };

/** Replaces `name` in a folder again and again, and reads it from a service of that folder meanwhile. */
export async function swapWhileRead(
  scope: Scope,
  { port, dir }: { readonly port: number; readonly dir: string },
  name: string,
  milliseconds: number,
): Promise<SwapResult> {
  const deadline = performance.now() + milliseconds;
  const contents = new Map<string, string>();
  const result = { swaps: 0, responses: 0, faults: [] as string[] };
  const swap = () => {
    const path = join(dir, `${name}.next`);
    writeFileSync(path, describePages(0, pages, 1, result.swaps++));
    utimesSync(path, 1, 1);
    renameSync(path, join(dir, name));
  };
  // On a busy machine it takes longer to have read a few of them.
  const goesOn = () => performance.now() < deadline || result.swaps <= 3 || result.responses <= 3;
  const read = async () => {
    const client = await RawClient.connect(scope, port);
    while (goesOn()) {
      ask(client, { method: 'GET', path: `/regions/${name}` });
      const { status, fields, body } = await client.response();
      const etag = fields.get('etag') ?? '';
      const stamps = new Set(stampsOf(body, 0));
      const content = [...stamps].join();
      result.responses++;
      if (status !== 200 || stamps.size !== 1) result.faults.push(`${status}, ${etag}: pages of ${content}`);
      const known = contents.get(etag) ?? content;
      contents.set(etag, known);
      if (known !== content) result.faults.push(`${etag} is ${known} and ${content}`);
    }
    client.destroy();
  };
  swap();
  const reading = Promise.all(Array.from({ length: readers }, read));
  while (goesOn()) {
    swap();
    for (const before = result.responses; result.responses < before + 2 && goesOn(); ) await setImmediate();
  }
  await reading;
  return result;
}
