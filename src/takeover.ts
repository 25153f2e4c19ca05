/** What one process of the service hands over to the one that takes its place. @module */
import { statSync } from 'node:fs';
import type { Writer } from './http/write/writer.ts';
import { cutLater } from './region/change/cut.ts';
import { HeldFiles } from './region/change/held-files.ts';
import type { GivenLease } from './region/change/leases.ts';
import { type AskPredecessor, Predecessor } from './region/change/predecessor.ts';
import { Role } from './region/change/role.ts';
import type { GivenStates } from './region/states.ts';
import type { TreeLock } from './region/tree-lock.ts';
import { within } from './region/within.ts';
import { type FileKey, fileKeyOf } from './relay/file-identity.ts';
import { NativeRelay } from './relay/native-relay.ts';
import type { Relay } from './relay/relay.ts';

/** What a writer knows; it can be sent to another process. */
type GivenWriter = {
  readonly states: GivenStates;
  readonly leases: readonly GivenLease[];
  /** What each region is counted as; undefined where there is no quota. */
  readonly counted: readonly (readonly [name: string, bytes: number])[] | undefined;
};

/** What one process hands over to another; it can be sent there. */
export type Given = {
  /** Undefined where one of the two does not change regions, or they change different trees. */
  readonly writer: GivenWriter | undefined;
  /** Files of which it sends pages. */
  readonly files: readonly FileKey[];
};

/** A process that can't be followed by another one now, for the reason that the message says. */
export class NotNow extends Error {
  override readonly name = 'NotNow';
}

/** How long changes that have begun are given to end: one writes what it has been sent already. */
const mostMilliseconds = 10_000;

type Parts = {
  readonly relay: Relay;
  readonly lock: TreeLock | undefined;
  readonly writer: Writer | undefined;
  /** Writes down all that is known, for whoever reads the tree next. */
  readonly stop: (writer: Writer) => Promise<void>;
};

/** Both sides of a restart without a gap: the process that goes, and the one that takes its place. */
export class Takeover {
  /** Whether it is this process that answers with regions. */
  readonly reading = new Role();
  /** What this process still sends. */
  readonly held: HeldFiles | undefined;
  readonly #parts: Parts;
  readonly #predecessor: Predecessor;

  constructor(parts: Parts) {
    const { relay, writer } = parts;
    this.#parts = parts;
    this.#predecessor = writer?.store.predecessor ?? new Predecessor();
    this.held = relay instanceof NativeRelay ? new HeldFiles(relay, this.#predecessor) : undefined;
  }

  /** The tree that this process can change; undefined where it changes nothing. */
  get tree(): FileKey | undefined {
    const { writer } = this.#parts;
    return writer && treeOf(writer);
  }

  /**
   * The process that goes: ends changes that have begun, and from then on neither changes nor reads regions until `settle`.
   * Gives what the other one has to know.
   *
   * @param tree what the other process can change
   * @throws NotNow; then `settle(false)` is due
   */
  async give(tree: FileKey | undefined): Promise<Given> {
    const { relay, writer, stop } = this.#parts;
    if (writer) await stopChanging(writer);
    await this.reading.stop();
    if (relay instanceof NativeRelay) relay.answers.suspend();
    const goesOn = writer !== undefined && tree === this.tree;
    if (writer && !goesOn) await stop(writer);
    this.held?.look();
    return { writer: goesOn ? giveWriter(writer) : undefined, files: [...(this.held?.list() ?? [])] };
  }

  /** After `give`: whether the other process answers for all of it now. Else this one does, as before. */
  settle(isSucceeded: boolean): void {
    const { writer } = this.#parts;
    if (isSucceeded) writer?.leases.leave();
    writer?.store.role.settle(isSucceeded);
    this.reading.settle(isSucceeded);
  }

  /** After `settle`: the other process has locked the tree for what is sent here; or it has gone after that. */
  leaveLock(isThere: boolean): void {
    const { lock } = this.#parts;
    if (isThere) lock?.leave();
    else lock?.takeBack();
  }

  /** The process that comes knows what the other one knew. */
  take({ files, writer: given }: Given, ask: AskPredecessor): void {
    const { writer } = this.#parts;
    this.#predecessor.begin(files, ask);
    if (writer && given) takeStates(writer, given);
  }

  /** After `take`: it locks the tree for what the other one sends, which leaves that then. */
  async keepLock({ writer: given }: Given): Promise<void> {
    const { lock, writer } = this.#parts;
    await lock?.keep(writer !== undefined && given !== undefined);
  }

  /** After `keepLock`: what was begun goes on. Then regions may be read. */
  async resume({ writer: given }: Given): Promise<void> {
    const { writer } = this.#parts;
    if (writer && given) await resumeChanges(writer, given);
    else await writer?.start.begin();
  }

  /** The other process sends no page of these files any more. */
  released(files: readonly FileKey[]): void {
    this.#predecessor.released(files);
  }

  /** The other process has ended. */
  ended(hasDied: boolean): void {
    const { lock } = this.#parts;
    const gone = [...this.#predecessor.files].map((file) => this.#predecessor.gone(file));
    this.#predecessor.ended(hasDied);
    void Promise.all(gone).then(() => lock?.keepNoMore());
  }
}

function treeOf({ store }: Writer): FileKey {
  const { dev, ino } = statSync(store.tree.root);
  return fileKeyOf({ device: dev, inode: ino });
}

// What waits is for the process that takes this one's place.
async function stopChanging({ store, start }: Writer): Promise<void> {
  const { role } = store;
  if (!(await start.isOverWithin(mostMilliseconds))) throw new NotNow('the tree is not put right yet');
  if (role.stuckBecause !== undefined) throw new NotNow(role.stuckBecause);
  const stopped = role.stop().then(() => true);
  if (!(await within(stopped, mostMilliseconds))) throw new NotNow('a change does not end');
}

function giveWriter({ store, leases }: Writer): GivenWriter {
  const given = leases.give();
  const counted = store.quota.isLimited ? store.quota.counted() : undefined;
  return { states: store.states.give(), leases: given, counted };
}

function takeStates({ store }: Writer, { states, counted }: GivenWriter): void {
  store.states.takeOver(states);
  for (const [name, bytes] of counted ?? []) store.quota.set(name, bytes);
  store.catalog.letGoOfAll();
}

async function resumeChanges({ store, leases, start }: Writer, { states, leases: given, counted }: GivenWriter) {
  await leases.takeOver(given);
  for (const [name, { cut }] of states.own) if (cut) cutLater(store, name);
  start.succeed(counted !== undefined);
}
