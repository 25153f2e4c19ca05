/**
 * A process that uses the shim in one worker thread alone: its data go to a log on descriptor 3, and the thread is ended
 * while the log's own thread still writes them. Prints `ended` then; exits when the log's thread has gone. @module
 */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { until } from './poll.ts';
import { shimOrFail } from './shim.ts';

/** More than a pipe takes. */
export const logged = 1 << 20;

const countThreads = () => readdirSync('/proc/self/task').length;

async function endWorker(): Promise<void> {
  const worker = new Worker(new URL(import.meta.url));
  await once(worker, 'message');
  await worker.terminate();
  const left = countThreads();
  console.log('ended');
  await until(() => countThreads() < left, 'the thread of the log has gone');
}

function keepLogging(): void {
  const shim = shimOrFail();
  const log = shim.openLog(3, () => {});
  if (typeof log === 'number') throw new Error(`no log: ${log}`);
  const result = shim.writeLog(log, Buffer.alloc(logged, 'x'));
  parentPort?.on('message', () => log); // Keeps the thread, and the log with it.
  parentPort?.postMessage(result);
}

if (!isMainThread) keepLogging();
else if (process.argv[1] === import.meta.filename) await endWorker();
