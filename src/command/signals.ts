/** Signals that ask the service for something (docs/operations.md has the table). @module */

const ending = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

/**
 * Listens to the signals that end the service.
 *
 * @param drain at the first: end when what is in flight is done
 * @param end at each one after it: end at once
 */
export function onEnding(drain: () => void, end: () => void): void {
  let signals = 0;
  for (const signal of ending) {
    process.on(signal, () => {
      signals++;
      if (signals === 1) drain();
      else end();
    });
  }
}

/** Listens to SIGHUP: what comes from files is to be read again. */
export function onReload(reload: () => void): void {
  process.on('SIGHUP', reload);
}

/** Listens to SIGUSR1: files that are written to may have been moved away. */
export function onReopen(reopen: () => void): void {
  process.on('SIGUSR1', reopen);
}
