/** Looking at many files of one folder by one call of the shim, for lists. @module */
import type { FileIdentity } from './relay.ts';

/** So many names are looked at by one call at most. */
export const mostLooks = 64;

/** As the shim has it (native-shim/core/pages/looks.h). */
const numbersOfOne = 7;

/** Where the shim writes what it has seen: one for all calls, each of which is over before the next one. */
export class Looks {
  readonly #numbers = new Float64Array(mostLooks * numbersOfOne);
  /** The same memory. */
  readonly bytes = new Uint8Array(this.#numbers.buffer);

  /** What was seen of the first `count` names: a file, or below zero why there is none. */
  take(count: number): (FileIdentity | number)[] {
    return Array.from({ length: count }, (_, at) => this.#of(at * numbersOfOne));
  }

  #of(at: number): FileIdentity | number {
    const numbers = this.#numbers;
    const number = (place: number) => numbers[at + place] ?? 0;
    const device = number(0);
    if (device < 0) return device;
    return {
      device,
      inode: number(1),
      size: number(2),
      modifiedSeconds: number(3),
      modifiedNanoseconds: number(4),
      changedSeconds: number(5),
      changedNanoseconds: number(6),
    };
  }
}
