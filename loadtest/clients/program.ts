/** A program that runs jobs for its parent, one after the other, or writes from one message to the next. @module */

import { runAutocannon } from './autocannon.ts';
import type { Job } from './job.ts';
import { runUndici } from './undici.ts';
import { type Writes, Writing } from './writing.ts';

let writing: Writing | undefined;

process.on('message', (message: Job | Writes | 'end') => void hear(message));

// Whoever was to ask has died.
process.on('disconnect', () => process.exit());

async function hear(message: Job | Writes | 'end'): Promise<void> {
  if (message === 'end') process.send?.(await writing?.end());
  else if ('rate' in message) writing = new Writing(message);
  else process.send?.(await (message.client === 'autocannon' ? runAutocannon : runUndici)(message));
}
