/** A program that writes from one message of its parent to the next, and answers with what became of it. @module */
import { type Writes, Writing } from './writing.ts';

let writing: Writing | undefined;

process.on('message', (writes: Writes | 'end') => {
  if (writes === 'end') void end();
  else writing = new Writing(writes);
});

// Whoever was to say so has died.
process.on('disconnect', () => process.exit());

async function end(): Promise<void> {
  process.send?.(await writing?.end());
}
