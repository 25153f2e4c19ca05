/** What a run says while it goes on: one line that moves on a terminal, a line for each trial elsewhere. @module */
import type { Scenario } from '../model/scenario.ts';
import type { Listener } from '../run/run.ts';
import type { Trial } from '../run/trial.ts';
import { writeNumber } from './text.ts';
import { countFaults } from './words.ts';

const width = 24;
const clearLine = '\r\x1b[2K';

/** Where it is written. */
export type Screen = { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown };

/** Tells how far a run is. */
export class ProgressBar implements Listener {
  readonly #screen: Screen;
  #began = 0;
  #planned = 0;
  #done = 0;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  planned = (trials: number): void => {
    this.#planned = trials;
  };

  began = ({ name }: Scenario, server: string, round: number): void => {
    this.#began ||= performance.now();
    if (this.#screen.isTTY) this.#draw(`${name}, ${server}, round ${round}${this.#left()}`);
  };

  ended = (trial: Trial): void => {
    this.#done++;
    if (this.#screen.isTTY) return;
    const { scenario, server, round, main, faults } = trial;
    const rate = writeNumber((main.requests + main.aborted.requests) / main.seconds);
    const wrong = faults.length > 0 ? `  *** ${countFaults(faults.length)}` : '';
    const at = `${this.#done}/${this.#planned}`;
    this.#screen.write(`${at} ${scenario}, ${server}, round ${round}: ${rate} requests/s (${main.client})${wrong}\n`);
  };

  /** Leaves the line. */
  end(): void {
    if (this.#screen.isTTY) this.#screen.write(clearLine);
  }

  #draw(what: string): void {
    const full = Math.round((this.#done / Math.max(1, this.#planned)) * width);
    const bar = `${'█'.repeat(full)}${'░'.repeat(width - full)} ${this.#done}/${this.#planned}`;
    this.#screen.write(`${clearLine}${`${bar}  ${what}`.slice(0, (this.#screen.columns ?? 100) - 1)}`);
  }

  #left(): string {
    if (this.#done === 0) return '';
    const each = (performance.now() - this.#began) / this.#done;
    return `, about ${Math.ceil((each * (this.#planned - this.#done)) / 1000)} s left`;
  }
}
