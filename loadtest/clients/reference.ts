/** Compares bodies with what they must be, by sha-256. @module */
import { hash } from 'node:crypto';
import { openSync, readSync } from 'node:fs';
import type { ReferenceSource } from './job.ts';
import { stampedBytes, stampOf } from './stamped.ts';

/** Says what is wrong with the bytes from `first` on; undefined when nothing is. */
export type Reference = (first: number, body: Buffer) => string | undefined;

/** Opens what to compare with. The file stays open as long as the process. */
export function openReference(source: ReferenceSource): Reference {
  if (source.kind === 'stamped') return (first, body) => wrongStamps(first, body, source.blockBytes);
  const file = openSync(source.path, 'r');
  return (first, body) => {
    const expected = Buffer.alloc(body.length);
    const bytes = readSync(file, expected, { position: first });
    return difference(first, body, expected.subarray(0, bytes));
  };
}

// Blocks that are there in part only are left out: what wrote them can't be told.
function wrongStamps(first: number, body: Buffer, blockBytes: number): string | undefined {
  const skip = (blockBytes - (first % blockBytes)) % blockBytes;
  for (let at = skip; at + blockBytes <= body.length; at += blockBytes) {
    const block = body.subarray(at, at + blockBytes);
    const stamp = stampOf(block);
    if (stamp === undefined) return `bytes ${first + at}-${first + at + blockBytes - 1} are no write's`;
    const wrong = difference(first + at, block, stampedBytes(first + at, blockBytes, stamp));
    if (wrong !== undefined) return `torn: of write ${stamp} in part only. ${wrong}`;
  }
  return undefined;
}

function difference(first: number, body: Buffer, expected: Buffer): string | undefined {
  const [is, must] = [hash('sha256', body), hash('sha256', expected)];
  if (is === must) return undefined;
  const range = `bytes ${first}-${first + body.length - 1}`;
  return `sha-256 of ${range} is ${is}, not ${must}: ${firstWrong(first, body, expected)}`;
}

function firstWrong(first: number, body: Buffer, expected: Buffer): string {
  const at = body.findIndex((byte, index) => byte !== expected[index]);
  if (at < 0) return `the region should have ended after ${first + expected.length} bytes`;
  const wrong = body.reduce((count, byte, index) => count + (byte === expected[index] ? 0 : 1), 0);
  return `${wrong} wrong, the first at offset ${first + at}: ${hex(body[at])}, not ${hex(expected[at])}`;
}

function hex(byte: number | undefined): string {
  return byte === undefined ? 'nothing' : `0x${byte.toString(16).padStart(2, '0')}`;
}
