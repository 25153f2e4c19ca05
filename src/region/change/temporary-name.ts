import { randomBytes } from 'node:crypto';

// Drawn once for each process: what another one has left behind is never met.
const run = randomBytes(12).toString('hex');
let count = 0;

/** A file's name that no other file has, nor had. */
export function temporaryName(): string {
  count++;
  return `${run}-${count.toString(36)}`;
}
