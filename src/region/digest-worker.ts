/**
 * Computes digests, a slice of each in turn, so that a short one does not wait behind a long one.
 *
 * @module
 */
import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import type { DigestAnswer, DigestOrder } from './digest-thread.ts';

type Work = { readonly id: number; readonly fd: number; readonly size: number; readonly hash: Hash; at: number };

/**
 * A slice, bytes: it stays in the processor's cache between reading and hashing. A GiB takes 0.80 s of CPU so, and 1.2 s
 * by 1 or 4 MiB (Node 24.21, SHA-NI, tmpfs).
 */
const sliceBytes = 256 * 1024;

const niceness = 10;

// A file is read, not mapped: that takes no page for what is a hole in it.
const buffer = Buffer.allocUnsafe(sliceBytes);
const queue: Work[] = [];
let isTurnDue = false;

// On Linux this is the priority of the calling thread alone (sched(7)): readers come before digests.
setPriority(0, Math.max(getPriority(0), niceness));

parentPort?.on('message', ({ id, work }: DigestOrder) => {
  if (work) queue.push({ id, ...work, hash: createHash('sha256'), at: 0 });
  else giveUp(id);
  askForTurn();
});

// By way of the event loop, which has the next orders.
function askForTurn(): void {
  if (isTurnDue || queue.length === 0) return;
  isTurnDue = true;
  setImmediate(turn);
}

function turn(): void {
  isTurnDue = false;
  const work = queue.shift();
  if (!work) return;
  const answer = advance(work);
  if (answer === undefined) queue.push(work);
  else tell(answer);
  askForTurn();
}

function advance(work: Work): DigestAnswer | undefined {
  const { id, fd, size, hash, at } = work;
  try {
    const bytes = at < size ? readSync(fd, buffer, 0, Math.min(buffer.length, size - at), at) : 0;
    if (bytes === 0 && at < size) return { id, digest: undefined }; // The file became shorter.
    hash.update(buffer.subarray(0, bytes));
    work.at += bytes;
    return work.at < size ? undefined : { id, digest: hash.digest('base64') };
  } catch {
    return { id, digest: undefined };
  }
}

function giveUp(id: number): void {
  const place = queue.findIndex((work) => work.id === id);
  if (place < 0) return; // It has been answered meanwhile.
  queue.splice(place, 1);
  tell({ id, digest: undefined });
}

function tell(answer: DigestAnswer): void {
  parentPort?.postMessage(answer);
}
