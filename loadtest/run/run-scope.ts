/** What a run of a load test leaves behind if nobody takes it back: processes and temporary folders. @module */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Takes back what was made in it, last first: gently by `end`, or at once when the process exits without. Ctrl-C and
 * SIGTERM abort `signal`, and nothing else: whoever runs is to stop and to call `end`.
 */
export class RunScope {
  readonly #interruption = new AbortController();
  readonly #undos: { readonly gently: () => Promise<void>; readonly atOnce: () => void }[] = [];
  readonly #interrupt = () => this.#interruption.abort();
  readonly #exit = () => {
    for (const { atOnce } of this.#undos.reverse()) atOnce();
  };
  readonly #parent: RunScope | undefined;

  /** @param parent ends this one as well, if it has not ended before */
  constructor(parent?: RunScope) {
    this.#parent = parent;
    if (parent) parent.onEnd(() => this.end(), this.#exit);
    else process.on('SIGINT', this.#interrupt).on('SIGTERM', this.#interrupt).on('exit', this.#exit);
  }

  /** Aborts when the run was told to stop. */
  get signal(): AbortSignal {
    return this.#parent?.signal ?? this.#interruption.signal;
  }

  /** Has something taken back at the end. `atOnce` can't wait. */
  onEnd(gently: () => Promise<void>, atOnce: () => void = () => {}): void {
    this.#undos.push({ gently, atOnce });
  }

  /** A new, empty folder in `parent`. */
  folder(parent: string): string {
    const path = mkdtempSync(join(parent, 'pagerelay-load-'));
    const remove = () => rmSync(path, { recursive: true, force: true });
    this.onEnd(async () => remove(), remove);
    return path;
  }

  async end(): Promise<void> {
    for (let undo = this.#undos.pop(); undo; undo = this.#undos.pop()) await undo.gently();
    process.off('SIGINT', this.#interrupt).off('SIGTERM', this.#interrupt).off('exit', this.#exit);
  }
}
