/**
 * A change of a region's own pages, or of its size, from the moment when it is certain to be made.
 *
 *   lease ──▶ begin ──▶ [ move again, resize ]* ──▶ commit    the new bytes are there
 *                                              ├──▶ undo      the old ones are there again
 *                                              └──▶ abandon   nobody knows what is there
 *
 * @module
 */
import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { fileOf } from '../../relay/file-identity.ts';
import type { FileIdentity } from '../../relay/relay.ts';
import type { FileChange } from '../file-change.ts';
import type { Region } from '../region.ts';
import { type Asked, findToChange, type Leased, lockOthersOut } from './lease.ts';
import { Refusal } from './refusal.ts';
import type { Store } from './store.ts';

/** Begins a change, has `act` make it, and sees to it that it ends: by `undo` where `act` has not ended it. */
export async function withChange<Result>(
  store: Store,
  leased: Leased,
  asked: Asked,
  act: (change: Change) => Promise<Result>,
): Promise<Result> {
  const change = await Change.begin(store, leased, asked);
  try {
    const result = await act(change);
    assert(change.isOver, 'a change has no end');
    return result;
  } finally {
    if (!change.isOver) change.undo();
  }
}

/**
 * It has the lease, other services locked out, the region's file open, and a version that it has moved. Whichever way it
 * ends, it gives all of them back (but see `abandon`); until then whoever has begun it answers for its end.
 */
export class Change {
  /** The region's file, to be written. */
  readonly fd: number;
  readonly #opened: Opened;
  readonly #epoch: number;
  /** Bytes that the region had before. */
  readonly #before: number;
  readonly #file: FileChange;
  #region: Region;
  /** Bytes that it has from the end on; undefined where that stays. */
  #size: number | undefined;
  #isOver = false;

  /**
   * Begins a change under a lease, which is its own from now on: locks out other services, makes it durable that this run
   * changes the region, judges the region for the last time and moves the version. When that fails, the lease has ended.
   *
   * @throws Refusal `other-writer`, `range-busy`; what `judge` throws
   */
  static async begin(store: Store, leased: Leased, asked: Asked): Promise<Change> {
    const { name } = leased.region;
    try {
      await lockOthersOut(store, asked.patience);
    } catch (error) {
      leased.end();
      throw error;
    }
    let fd: number | undefined;
    try {
      fd = store.relay.openFile(store.tree, name);
      const opened = { store, leased, asked, fd };
      return Change.#beginAtOnce(opened) ?? (await store.turns.take(name, () => Change.#beginInTurn(opened)));
    } catch (error) {
      giveBack({ store, leased, fd });
      throw error;
    }
  }

  // This run has changed the file before, no one else has since, and nobody is about to exchange it: nothing is to be
  // waited for, and what was judged need not be looked at again but where it has moved.
  static #beginAtOnce(opened: Opened): Change | undefined {
    const { store, leased, fd } = opened;
    const { region } = leased;
    const file = checked(leased, fileOf(fd));
    const epoch = store.turns.isFree(region.name) ? store.states.epochOf(region.name, file) : undefined;
    if (epoch === undefined) return undefined;
    return new Change(opened, store.catalog.isLatest(region) ? region : judgeAgain(opened), epoch);
  }

  // By the name's turn another file may have it: then what is written down would be about that one.
  static async #beginInTurn(opened: Opened): Promise<Change> {
    const { store, leased } = opened;
    const { name, state } = leased.region;
    const file = checked(leased, store.relay.identify(store.tree, name));
    const epoch = await store.states.openEpoch(name, file, state);
    return new Change(opened, judgeAgain(opened), epoch);
  }

  // Of two changes that were made for one version only one may begin: nothing is waited for from the last judgement to here.
  private constructor(opened: Opened, region: Region, epoch: number) {
    const { store, leased, fd } = opened;
    const version = leased.moveVersion(epoch);
    this.#file = store.states.begin(region.name, region.content.generation.inode, version);
    this.#region = store.catalog.moved(region, version, epoch);
    this.#opened = opened;
    this.#epoch = epoch;
    this.#before = region.content.generation.size;
    this.fd = fd;
  }

  /** The region as it is now: at the last version that this change has moved it to. */
  get region(): Region {
    return this.#region;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The bytes may have changed once more than was told: the version moves again. */
  moveAgain(): void {
    const { store, leased } = this.#going();
    const version = leased.moveVersion(this.#epoch);
    this.#file.move(version);
    this.#region = store.catalog.moved(this.#region, version, this.#epoch);
  }

  /** Makes another size durable, which the region has once this is committed. @param cut whether its file is longer */
  async resize(size: number, cut: boolean): Promise<void> {
    const { store } = this.#going();
    this.#size = this.#before; // For as long as the new one is not durable.
    await store.turns.take(this.#region.name, () => this.#file.resize(size, cut));
    this.#size = size;
  }

  /** Somebody may go on changing the region when this service has ended: the next one has to take that for a crash. */
  leaveOpen(): void {
    this.#going().store.states.leaveOpen(this.#region.name);
  }

  /** The new bytes are there. Gives the region, at the version of the last change of it that has begun. */
  commit(): Region {
    const { store } = this.#going();
    this.#isOver = true;
    try {
      const file = fileOf(this.fd);
      const version = this.#file.end(file, this.#size) ?? this.#region.content.version;
      return store.catalog.moved(this.#region, version, this.#epoch, file);
    } finally {
      giveBack(this.#opened, true);
    }
  }

  /** The old bytes are there again. Nobody has seen others, for their pages were leased; but a third version is safe. */
  undo(): void {
    if (this.#size !== undefined) this.#size = this.#before;
    try {
      this.moveAgain();
    } finally {
      this.commit();
    }
  }

  /**
   * There are bytes that are neither old nor new: nobody gets them before the next start has put them right, neither from
   * this service nor from another one. So the lease stays, and other services stay locked out.
   */
  abandon(): void {
    this.leaveOpen();
    this.#isOver = true;
    this.#opened.leased.keep();
    closeSync(this.fd);
  }

  #going(): Opened {
    assert(!this.#isOver, 'the change has ended');
    return this.#opened;
  }
}

type Opened = { readonly store: Store; readonly leased: Leased; readonly asked: Asked; readonly fd: number };

/** @param isOurs something was done to the file */
function giveBack(
  { store, leased, fd }: Pick<Opened, 'store' | 'leased'> & { fd: number | undefined },
  isOurs = false,
) {
  try {
    leased.end(isOurs);
    if (fd !== undefined) closeSync(fd);
  } finally {
    store.lock.readmit();
  }
}

function judgeAgain({ store, leased, asked }: Opened): Region {
  const region = findToChange(store, asked);
  checked(leased, region.content.generation);
  return region;
}

function checked({ region }: Leased, file: FileIdentity): FileIdentity {
  if (file.inode === region.content.generation.inode) return file;
  throw new Refusal('range-busy', 'It was replaced meanwhile.');
}
