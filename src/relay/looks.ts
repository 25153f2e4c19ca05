/** Looking at many files of one folder by one call of the shim, for lists. @module */
import type { FileIdentity } from './relay.ts';

/** So many names are looked at by one call at most. */
export const mostLooks = 64;

/** As the shim has it (native-shim/core/pages/looks.h). */
const numbersOfOne = 7;

/** Where the shim writes what it has seen: one for all calls, each of which is over before the next one. */
export class Looks {
  readonly numbers = new Float64Array(mostLooks * numbersOfOne);

  /** What was seen of the first `count` names: a file, or below zero why there is none. */
  take(count: number): (FileIdentity | number)[] {
    return Array.from({ length: count }, (_, at) => {
      const file = identityIn(this.numbers, at * numbersOfOne);
      return file.device < 0 ? file.device : file;
    });
  }
}

/** The file that the shim has written of, from `at`. */
export function identityIn(numbers: Float64Array, at: number): FileIdentity {
  return {
    device: numbers[at] ?? 0,
    inode: numbers[at + 1] ?? 0,
    size: numbers[at + 2] ?? 0,
    modifiedSeconds: numbers[at + 3] ?? 0,
    modifiedNanoseconds: numbers[at + 4] ?? 0,
    changedSeconds: numbers[at + 5] ?? 0,
    changedNanoseconds: numbers[at + 6] ?? 0,
  };
}
