const firstMilliseconds = 1;
const lastMilliseconds = 50;

/**
 * Presses while writers wait: at once, soon again, and then ever less often, up to 20 times a second. Lanes tell of what
 * they see by themselves; this is for what only a look finds out, and for breaking off.
 */
export class Press {
  readonly #act: () => number;
  #waiting = 0;
  #timer: NodeJS.Timeout | undefined;
  #interval = firstMilliseconds;

  /** @param act looks at what is in the way of waiting writers, and breaks off what is too old */
  constructor(act: () => number) {
    this.#act = act;
  }

  /** A writer waits until then. */
  whilst(waiting: Promise<unknown>): void {
    this.#waiting++;
    this.#interval = firstMilliseconds;
    this.#press();
    void waiting.finally(() => {
      this.#waiting--;
    });
  }

  #press(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting === 0) return;
    this.#act();
    this.#timer = setTimeout(() => this.#press(), this.#interval).unref();
    this.#interval = Math.min(this.#interval * 2, lastMilliseconds);
  }
}
