/** Computes digests, a slice of each in turn, so that a short one does not wait behind a long one. @module */
import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import type { DigestAnswer, DigestOrder, DigestWork } from './digest-thread.ts';

/**
 * Bytes of a slice, which stays in the processor's cache: 0.80 s of CPU for a GiB, where 1 or 4 MiB take 1.2 s (Node
 * 24.21).
 */
const sliceBytes = 256 * 1024;

const niceness = 10;

// A file is read, not mapped: that takes no page for what is a hole in it.
const buffer = Buffer.allocUnsafe(sliceBytes);
/** The ids of digests that are wanted. */
const wanted = new Set<number>();

// On Linux this is the priority of the calling thread alone (sched(7)): readers come before digests.
setPriority(0, Math.max(getPriority(0), niceness));

parentPort?.on('message', ({ id, work }: DigestOrder) => {
  if (work) void answer(id, work);
  else wanted.delete(id);
});

async function answer(id: number, work: DigestWork): Promise<void> {
  wanted.add(id);
  const digest = await digestOf(id, work).catch(() => undefined);
  wanted.delete(id);
  parentPort?.postMessage({ id, digest } satisfies DigestAnswer);
}

/** Undefined when it is given up, or the file becomes shorter. */
async function digestOf(id: number, { fd, size }: DigestWork): Promise<string | undefined> {
  const hash = createHash('sha256');
  for (let at = 0; at < size; ) {
    await setImmediate(); // The others have their slices, and the next orders are taken.
    const bytes = wanted.has(id) ? readSync(fd, buffer, 0, Math.min(sliceBytes, size - at), at) : 0;
    if (bytes === 0) return undefined;
    hash.update(buffer.subarray(0, bytes));
    at += bytes;
  }
  return hash.digest('base64');
}
