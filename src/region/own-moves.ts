/**
 * The service gives files names and takes them away. That moves their ctime, but must move no entity-tag of the file,
 * by whichever name it is served.
 *
 * @module
 */
import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { changedAt, identityOf, isSameChange } from '../relay/file-identity.ts';
import type { FileIdentity } from '../relay/relay.ts';

/** The latest ctimes (`changedAt`) that the service has given one inode, and whether it is about to give it another. */
type Move = { readonly before: FileIdentity; readonly given: Set<bigint>; now: FileIdentity; underWay: number };

/** What is known of moves; it can be sent to another process. */
export type GivenMoves = readonly Omit<Move, 'underWay'>[];

// fs.constants does not have O_PATH: nothing is opened by it, so it works on whatever has a name.
const pathOnly = 0o10000000 | constants.O_NOFOLLOW;

/**
 * How many ctimes of one inode are known: the latest, and those that somebody may remember from an earlier look. A look
 * that is older still seems to be at a changed file: the region is opened anew with the same entity-tag, and counted in
 * `pagerelay_external_changes_total`.
 */
const mostGiven = 64;

/** Knows by which ctimes files are the ones that they were. */
export class OwnMoves {
  /** The moves by inode number; on another device that is another file. */
  readonly #moves = new Map<number, Move>();

  /** The file with the ctime that it had before the service moved it; the file itself where it did not, or others did. */
  asBefore(file: FileIdentity): FileIdentity {
    const move = this.#moves.get(file.inode);
    if (!move || !isSameContent(move.before, file)) return file;
    if (move.underWay === 0 && !move.given.has(changedAt(file))) return file;
    const { changedSeconds, changedNanoseconds } = move.before;
    return { ...file, changedSeconds, changedNanoseconds };
  }

  /** The file, as it was before the service moved its ctime, with the ctime that it has now. */
  asNow(file: FileIdentity): FileIdentity {
    const move = this.#moves.get(file.inode);
    return move && isSameChange(move.before, file) ? { ...file, ...move.now, size: file.size } : file;
  }

  /** Whether two looks saw a file to which nobody but the service has done anything. */
  isOwn(one: FileIdentity, other: FileIdentity): boolean {
    return isSameChange(this.asBefore(one), this.asBefore(other));
  }

  /** All that is known, for a process that goes on with it. Nothing may be under way. */
  give(): GivenMoves {
    return [...this.#moves.values()].map(({ before, given, now }) => ({ before, given, now }));
  }

  /** Goes on with what another process knows. */
  takeOver(moves: GivenMoves): void {
    for (const move of moves) this.#moves.set(move.before.inode, { ...move, given: new Set(move.given), underWay: 0 });
  }

  /** Runs `act`, which gives the file at `path` another name, or takes this one from it. */
  async during<Result>(path: string, act: () => Promise<Result>): Promise<Result> {
    const fd = openSync(path, pathOnly);
    const move = this.#begin(identityOf(fstatSync(fd, { bigint: true })));
    try {
      return await act();
    } finally {
      this.#end(move, fd);
      closeSync(fd);
    }
  }

  /** Runs `act`, which takes a name from the file at `path`: what was known of it goes where that is its last one. */
  async unlinking(path: string, act: () => Promise<unknown>): Promise<void> {
    const { ino, nlink } = lstatSync(path, { bigint: true });
    if (nlink > 1n) {
      await this.during(path, act);
      return;
    }
    this.#moves.delete(Number(ino)); // Not kept open meanwhile: the last close of a file can take long.
    await act();
  }

  #begin(seen: FileIdentity): Move {
    const before = this.asBefore(seen);
    const known = this.#moves.get(seen.inode);
    const isKnown = known && isSameChange(known.before, before);
    const move = isKnown ? known : { before, given: new Set<bigint>(), now: seen, underWay: 0 };
    move.underWay++;
    this.#moves.set(seen.inode, move);
    return move;
  }

  #end(move: Move, fd: number): void {
    move.underWay--;
    if (move.underWay > 0 || this.#moves.get(move.before.inode) !== move) return;
    const status = fstatSync(fd, { bigint: true });
    const now = identityOf(status);
    if (status.nlink === 0n || !isSameContent(move.before, now)) {
      this.#moves.delete(move.before.inode);
      return;
    }
    move.now = now;
    give(move, changedAt(now));
  }
}

// A clock that was set back can give a ctime again: it is the latest then.
function give({ given }: Move, changed: bigint): void {
  given.delete(changed);
  given.add(changed);
  const [oldest] = given;
  if (oldest !== undefined && given.size > mostGiven) given.delete(oldest);
}

// Compares all but ctime.
function isSameContent(one: FileIdentity, other: FileIdentity): boolean {
  const { changedSeconds, changedNanoseconds } = one;
  return one.size === other.size && isSameChange(one, { ...other, changedSeconds, changedNanoseconds });
}
