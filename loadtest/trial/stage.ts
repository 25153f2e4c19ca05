/** What runs trials. @module */
import type { ClientProcess } from '../clients/client-process.ts';

/** Clients, and how long they may take. */
export type Stage = {
  readonly main: ClientProcess;
  readonly checker: ClientProcess;
  readonly signal: AbortSignal;
  readonly seconds: number;
  /** Requests of one load, at most. */
  readonly most: number;
  /** How long a service has to let everything go. */
  readonly settleSeconds: number;
  readonly clock: () => number;
};
