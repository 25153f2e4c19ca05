/**
 * A change of a region's own pages, or of its size. The order is this one, and the steps drawn are asserted:
 *
 *   lease ──▶ open ──▶ begin ──▶ [ moveAgain, resize, leaveOpen ]* ──▶ commit    the new bytes are there
 *     │         │                                                  ├──▶ undo      the old ones are there again
 *     └─────────┴──▶ end: it has not begun                         └──▶ abandon   nobody knows what is there
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

/** Has `act` make a change under a lease, and sees to it that it ends. */
export async function withChange<Result>(
  store: Store,
  asked: Asked,
  leased: Leased,
  act: (change: Change) => Promise<Result>,
): Promise<Result> {
  const change = new Change(store, asked, leased);
  try {
    const result = await act(change);
    assert(!change.isGoingOn, 'a change has no end');
    change.end();
    return result;
  } catch (error) {
    return change.fail(error);
  }
}

/** `before`, and `size` where it is given: bytes of the region, before the change and from its end on. */
type Begun = { readonly epoch: number; readonly file: FileChange; readonly before: number; size?: number };

/**
 * A change has a lease, and once it is open, other services are locked out. Any end but `abandon` gives all back; until
 * then whoever has made it answers for its end.
 */
export class Change {
  readonly #store: Store;
  readonly #asked: Asked;
  readonly #leased: Leased;
  #region: Region;
  #othersAreOut = false;
  #hasRole = false;
  #fd: number | undefined;
  #begun: Begun | undefined;
  /** What was done to the file is not to be taken for a change by others. */
  #isOurs = false;
  #isOver = false;

  constructor(store: Store, asked: Asked, leased: Leased) {
    this.#store = store;
    this.#asked = asked;
    this.#leased = leased;
    this.#region = leased.region;
  }

  /** The region as it is now: at the last version that this change has moved it to. */
  get region(): Region {
    return this.#region;
  }

  /** The region's file, to be written. */
  get fd(): number {
    assert(this.#fd !== undefined && !this.#isOver, 'the change has no file open');
    return this.#fd;
  }

  /** It has begun, and has not ended. */
  get isGoingOn(): boolean {
    return this.#begun !== undefined;
  }

  /**
   * Locks other services out, and opens the region's file, which it gives as it is then.
   *
   * @throws Refusal `other-writer`, `range-busy`; SystemError
   */
  async open(): Promise<FileIdentity> {
    assert(!this.#othersAreOut && !this.#isOver, 'the change has opened its file');
    await lockOthersOut(this.#store, this.#asked.patience);
    this.#othersAreOut = true;
    this.#store.role.enter();
    this.#hasRole = true;
    this.#fd = this.#store.relay.openFile(this.#store.tree, this.#region.name);
    const file = fileOf(this.#fd);
    this.#checkIsOf(file);
    return file;
  }

  /**
   * Opens the file if it is not open, makes it durable that this run changes the region, judges for the last time, and
   * moves the version. When it fails, the change has ended.
   *
   * @throws Refusal `other-writer`, `range-busy`; what `judge` throws
   */
  async begin(): Promise<void> {
    assert(!this.#begun && !this.#isOver, 'the change has begun');
    try {
      const file = this.#othersAreOut ? fileOf(this.fd) : await this.open();
      if (!this.#beginAtOnce(file)) await this.#store.turns.take(this.#region.name, () => this.#beginInTurn());
    } catch (error) {
      this.fail(error);
    }
  }

  /** The region as it is now, judged once more. */
  judgeAgain(): Region {
    const region = findToChange(this.#store, this.#asked);
    this.#checkIsOf(region.content.generation);
    return region;
  }

  /** Bytes are about to change, or may have. Gives the region's new version: versions move here and nowhere else. */
  moveVersion(epoch: number): number {
    return this.#store.relay.claims.beginLease(this.#leased.claim, epoch);
  }

  /** The file's size or time is about to change, but no byte that is served: the version stays. */
  touch(): void {
    this.#isOurs = true;
    this.#store.relay.claims.touchLease(this.#leased.claim);
  }

  /** The bytes may have changed once more than was told: the version moves again. */
  moveAgain(): void {
    const { epoch, file } = this.#going();
    const version = this.moveVersion(epoch);
    file.move(version);
    this.#region = this.#store.catalog.moved(this.#region, version, epoch);
  }

  /**
   * Makes another size durable, which the region has from `commit` on. @param cut whether its file is longer
   *
   * @throws Refusal `range-busy` when others have changed the file since the beginning, or it has lost its name
   */
  async resize(size: number, cut: boolean): Promise<void> {
    const begun = this.#going();
    begun.size = begun.before; // For as long as the new one is not durable.
    const isKnown = await this.#store.turns.take(this.#region.name, () => begun.file.resize(size, cut));
    if (!isKnown) throw new Refusal('range-busy', 'Others have changed it meanwhile.');
    begun.size = size;
  }

  /** Somebody may go on changing the region when this service has ended: the next one treats it as after a crash. */
  leaveOpen(): void {
    this.#going();
    this.#store.states.leaveOpen(this.#region.name);
  }

  /** The new bytes are there. Gives the region, at the version of the last change of it that has begun. */
  commit(): Region {
    const { epoch, file, size, before } = this.#going();
    try {
      if (size !== undefined && size !== before) this.#leaveOldSize();
      const now = fileOf(this.fd);
      const version = file.end(now, size) ?? this.#region.content.version;
      return this.#store.catalog.moved(this.#region, version, epoch, now);
    } finally {
      this.#giveBack();
    }
  }

  /** The old bytes are there again. Nobody has seen others, for their pages were leased; but a third version is safe. */
  undo(): void {
    const begun = this.#going();
    if (begun.size !== undefined) begun.size = begun.before;
    try {
      this.moveAgain();
    } finally {
      this.commit();
    }
  }

  /**
   * Leaves bytes that are neither old nor new. Lease and lock stay, so that nobody gets them, from any service, before
   * the next start has put them right.
   */
  abandon(): void {
    this.leaveOpen();
    this.moveAgain();
    closeSync(this.fd);
    this.#begun = undefined;
    this.#isOver = true;
    this.#store.role.stuckBecause = `an overwrite of ${this.#region.name} could be neither ended nor undone`;
    if (this.#hasRole) this.#store.role.leave();
    this.#hasRole = false;
  }

  /** It goes on for long, by somebody else's will: the role of changing regions can be handed over meanwhile. */
  detach(): void {
    assert(this.#hasRole, 'the change is detached');
    this.#store.role.leave();
    this.#hasRole = false;
  }

  /** After `open`: a change that a process has begun whose place this one has taken goes on here. No byte has moved. */
  resume(): void {
    assert(!this.#begun && !this.#isOver, 'the change has begun');
    const { name, content } = this.#region;
    const { inode, size } = content.generation;
    this.touch();
    this.#begun = { epoch: content.epoch, file: this.#store.states.begin(name, inode), before: size };
  }

  /** Another process goes on with it, which knows all that is known here. */
  give(): void {
    this.#isOurs = false;
    this.#giveBack();
  }

  /** Ends what has no end: nothing else is known to have changed. */
  end(): void {
    if (this.#begun) this.undo();
    else if (!this.#isOver) this.#giveBack();
  }

  /** Ends what has failed, and throws what it failed by. An error of the ending itself is reported, and hides nothing. */
  fail(error: unknown): never {
    try {
      this.end();
    } catch (err) {
      this.#store.report('a change that had failed did not end as it should', { region: this.#region.name, err });
    }
    throw error;
  }

  // Nothing is waited for where this run has changed the file before, nobody else has since, and nobody is exchanging
  // it. What was judged is judged again only where it has moved.
  #beginAtOnce(file: FileIdentity): boolean {
    const { turns, states, catalog } = this.#store;
    const { name } = this.#region;
    const epoch = turns.isFree(name) ? states.epochOf(name, file) : undefined;
    if (epoch === undefined) return false;
    this.#begin(catalog.isLatest(this.#region) ? this.#region : this.judgeAgain(), epoch);
    return true;
  }

  // When the name has its turn, another file may have it, which would be described instead.
  async #beginInTurn(): Promise<void> {
    const { relay, tree, states } = this.#store;
    const { name, state } = this.#region;
    const file = relay.identify(tree, name);
    this.#checkIsOf(file);
    const epoch = await states.openEpoch(name, file, state);
    this.#begin(this.judgeAgain(), epoch);
  }

  // Nothing is awaited from the last judgement to here, so that of two changes made for one version only one begins.
  #begin(region: Region, epoch: number): void {
    const { inode, size } = region.content.generation;
    const version = this.moveVersion(epoch);
    this.#begun = { epoch, file: this.#store.states.begin(region.name, inode, version), before: size };
    this.#isOurs = true;
    this.#region = this.#store.catalog.moved(region, version, epoch);
  }

  // Readers, on lanes too, have had the old size at this version: the new size gets another one.
  #leaveOldSize(): void {
    this.#store.catalog.letGo(this.#region.name);
    this.moveAgain();
  }

  #checkIsOf({ inode }: FileIdentity): void {
    if (inode !== this.#leased.region.content.generation.inode) {
      throw new Refusal('range-busy', 'It was replaced meanwhile.');
    }
  }

  #going(): Begun {
    assert(this.#begun, 'no change is going on');
    return this.#begun;
  }

  #giveBack(): void {
    this.#begun = undefined;
    this.#isOver = true;
    try {
      this.#store.relay.claims.endLease(this.#leased.claim, this.#isOurs);
      this.#leased.release?.();
      if (this.#fd !== undefined) closeSync(this.#fd);
    } finally {
      if (this.#othersAreOut) this.#store.tree.lock.readmit();
      if (this.#hasRole) this.#store.role.leave();
    }
  }
}
