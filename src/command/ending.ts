/** Printing, and ending with what was printed, on descriptors that may take nothing for as long as they like. @module */
import { output, outputs } from './streams.ts';

/** What is still to be written when the process ends is given so long. */
const lastMilliseconds = 2000;

/** The longest that a timer waits: 24 days. */
const longestMilliseconds = 2 ** 31 - 1;

/** Prints what was asked for to standard output. Gives whether that has taken it. */
export async function print(text: string): Promise<boolean> {
  output.write(text);
  await output.flush(longestMilliseconds); // Whoever reads it may take their time.
  return output.lost === 0;
}

/**
 * Ends the process with this code when all is written, or can't be. It returns where the end of the event loop does
 * that.
 */
export async function leave(code: number): Promise<void> {
  await flush();
  process.exitCode = code;
  if (![...outputs].every(({ isIdle }) => isIdle)) exitNow(code);
}

/** Gives what is still to be written the time to be. */
export async function flush(): Promise<void> {
  await Promise.all([...outputs].map((each) => each.flush(lastMilliseconds)));
}

/** Ends the process, whatever is still to be written. */
export function exitNow(code: number): never {
  // Without the shim a thread of libuv's pool may be in a write, and `process.exit` would wait for it.
  if ([...outputs].some(({ holdsExit }) => holdsExit)) process.kill(process.pid, 'SIGKILL');
  process.exit(code);
}
