/** A relay of the shim as its parts share it. @module */
import { Reads } from './reads.ts';
import { SystemError } from './relay.ts';
import { type Acts, errnoName, type Shim, type ShimRelay } from './shim.ts';

const closed = -9; // EBADF

/** A relay of the shim, and whether it is closed: nothing is done to it then. */
export class Handle {
  readonly shim: Shim;
  readonly relay: ShimRelay;
  /** What is under way in the thread pool, and ends before the relay does. */
  readonly reads = new Reads();
  isClosed = false;

  constructor(shim: Shim, relay: ShimRelay) {
    this.shim = shim;
    this.relay = relay;
  }

  /** Does one of the acts; gives -EBADF where the relay is closed. */
  act<Name extends keyof Acts>(name: Name, ...numbers: Acts[Name]): number {
    return this.isClosed ? closed : this.shim.act(this.relay, name, ...numbers);
  }
}

/** A result that is no errno. @throws SystemError for one that is */
export function checked(result: number, what: string): number {
  if (result < 0) throw new SystemError(errnoName(result), what);
  return result;
}

/** The same of what gives an object. @throws SystemError */
export function checkedObject<Result extends object>(result: Result | number, what: string): Result {
  if (typeof result === 'number') throw new SystemError(errnoName(result), what);
  return result;
}
