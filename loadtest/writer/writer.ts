/** A writer in a process of its own, so that it takes no time of whoever measures. @module */
import { startClient } from '../clients/client-process.ts';
import type { Command } from '../run/process.ts';
import type { RunScope } from '../run/run-scope.ts';
import type { WriteResult, Writes } from './writing.ts';

/** Writes when it is told to, and does nothing in between. */
export type Writer = {
  /** `rate`: instead of its own. */
  readonly start: (rate?: number) => void;
  readonly end: () => Promise<WriteResult>;
};

/** Starts the process, which ends with the scope. */
export function startWriter(scope: RunScope, pin: (command: Command) => Command, writes: Writes): Writer {
  const { tell, ask } = startClient(scope, pin, scope.signal);
  return { start: (rate = writes.rate) => tell({ ...writes, rate }), end: () => ask('end', 0) };
}
