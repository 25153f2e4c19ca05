import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

const { fd, size } = workerData as { fd: number; size: number };
const hash = createHash('sha256');
const buffer = Buffer.allocUnsafe(1024 * 1024);

for (let at = 0; at < size; ) {
  const bytes = readSync(fd, buffer, 0, Math.min(buffer.length, size - at), at);
  if (bytes === 0) throw new Error('the file became shorter');
  hash.update(buffer.subarray(0, bytes));
  at += bytes;
}
parentPort?.postMessage(hash.digest('base64'));
