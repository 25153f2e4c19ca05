/** The region that is served when nothing else is: every page says what it is. @module */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NativeRelay } from '../relay/native-relay.ts';
import type { Relay } from '../relay/relay.ts';
import type { NamedFile } from './catalog.ts';

const pageBytes = 4096;
const lineBytes = 64;
const demoBytes = 64 * 1024 * 1024;
const pagesAtOnce = 256;

/** The demo region's file, and what removes it. */
export type Demo = { readonly file: NamedFile; close(): void };

/** Makes the demo region: a memfd, or without the shim a nameless temporary file. */
export function makeDemo(relay: Relay): Demo {
  const fd = relay instanceof NativeRelay ? relay.createMemfd('pagerelay-demo') : temporaryFile();
  const pages = Buffer.alloc(pagesAtOnce * pageBytes);
  for (let page = 0; page < demoBytes / pageBytes; page += pagesAtOnce) {
    for (let at = 0; at < pagesAtOnce; at++) writePage(pages.subarray(at * pageBytes, (at + 1) * pageBytes), page + at);
    writeSync(fd, pages);
  }
  return { file: { name: 'demo', path: `/proc/self/fd/${fd}` }, close: () => closeSync(fd) };
}

// One page: 64 equal lines of 64 bytes. Doubling copies takes a tenth of filling by a string, which each start waits
// for.
function writePage(bytes: Buffer, page: number): void {
  const first = page * pageBytes;
  const line = `pagerelay demo: page ${page}, bytes ${first}-${first + pageBytes - 1}`;
  bytes.write(`${line.padEnd(lineBytes - 1, ' ')}\n`, 'latin1');
  for (let filled = lineBytes; filled < pageBytes; filled *= 2) bytes.copyWithin(filled, 0, filled);
}

function temporaryFile(): number {
  const folder = mkdtempSync(join(tmpdir(), 'pagerelay-'));
  const fd = openSync(join(folder, 'demo'), 'w+');
  rmSync(folder, { recursive: true });
  return fd;
}
