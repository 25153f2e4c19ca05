/** Memory in reserve: below it nobody new is let in, while what is on its way goes on. @module */
import { type Memory, memoryLeft } from '../relay/memory.ts';

const lookMilliseconds = 500;
const mostReserve = 64 * 2 ** 20;

/** Looks how much memory is left. */
export class MemoryReserve {
  #isShort = false;
  readonly #given: number | undefined;
  readonly #onChange: (isShort: boolean) => void;
  readonly #look: () => Memory | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param given bytes; 0: none is kept; undefined: a sixteenth of what there is, at most 64 MiB
   * @param onChange is told when it has become short, and when it no longer is
   * @param look for tests
   */
  constructor(given: number | undefined, onChange: (isShort: boolean) => void, look = memoryLeft) {
    this.#given = given;
    this.#onChange = onChange;
    this.#look = look;
  }

  /** Whether less is left. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /** From now on it is looked, until `stop`. */
  start(): void {
    if (this.#given === 0) return;
    this.look();
    this.#timer = setInterval(() => this.look(), lookMilliseconds).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Now. */
  look(): void {
    const memory = this.#look();
    const isShort = memory !== undefined && memory.left < this.#reserve(memory);
    if (isShort === this.#isShort) return;
    this.#isShort = isShort;
    this.#onChange(isShort);
  }

  #reserve({ all }: Memory): number {
    return this.#given ?? Math.min(mostReserve, all / 16);
  }
}
