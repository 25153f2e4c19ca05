/** A program that runs jobs for its parent, one after the other, in a process of its own. @module */
import { runAutocannon } from './autocannon.ts';
import type { Job } from './job.ts';
import { runUndici } from './undici.ts';

process.on('message', (job: Job) => void answer(job));

// Whoever was to ask has died.
process.on('disconnect', () => process.exit());

async function answer(job: Job): Promise<void> {
  const run = job.client === 'autocannon' ? runAutocannon : runUndici;
  process.send?.(await run(job));
}
