import { setTimeout as delay } from 'node:timers/promises';
import type { NativeRelay } from '../relay/native-relay.ts';
import type { Tree } from '../relay/relay.ts';
import { lockFile, makeLockFile } from './state-folder.ts';
import { unlessFailed } from './unless-failed.ts';

// Bytes of the lock file. `references` is shared by holders of pages, and exclusive while a byte is changed in place;
// `writers` is shared by services that may write, and exclusive while one recovers from a crash.
const bytes = { references: 0, writers: 1 } as const;

const sweepMilliseconds = 1000;
const pollMilliseconds = 25;

/**
 * Keeps services on one tree from changing bytes in place that another one may be sending.
 *
 * It uses open file description locks (fcntl(2)): flock gives a shared lock up before it takes an exclusive one, and a
 * failure would let others write under our readers.
 */
export class TreeLock {
  readonly #relay: NativeRelay;
  #tree: Tree;
  #exists: boolean;
  readonly #sweeper: NodeJS.Timeout;
  #shared = false;
  #changes = 0;
  #isKept = false;
  #waiting: Promise<void> | undefined;

  constructor(relay: NativeRelay, tree: Tree) {
    this.#relay = relay;
    this.#tree = tree;
    this.#exists = makeLockFile(tree.root) && this.#opens();
    this.#sweeper = setInterval(() => this.#sweep(), sweepMilliseconds).unref();
  }

  /** Another tree is served from now on, and read only. The lock of the one before goes when that is closed. */
  moveTo(tree: Tree): void {
    const wasShared = this.#shared;
    this.#tree = tree;
    this.#shared = false;
    this.#exists = makeLockFile(tree.root) && this.#opens();
    // Who is about to take pages has asked for the lock already.
    if (wasShared) this.share();
  }

  close(): void {
    clearInterval(this.#sweeper);
  }

  /**
   * Locks the tree for pages of another process of this service too, which then leaves it; until `keepNoMore` it is not
   * given up. @param isWriter whether this one may write: the other one may have recovered the tree
   */
  async keep(isWriter: boolean): Promise<void> {
    this.#isKept = true;
    await this.shared();
    if (isWriter) this.#lock(bytes.writers, 'shared');
  }

  /** That process has ended. */
  keepNoMore(): void {
    this.#isKept = false;
  }

  /** Another process of this service has locked the tree for what this one still sends. Nothing is changed here any more. */
  leave(): void {
    this.close();
    this.#shared = false;
    if (!this.#exists) return;
    this.#lock(bytes.references, 'unlocked');
    this.#lock(bytes.writers, 'unlocked');
    this.#exists = false;
  }

  /** After `leave`: that process has gone. What is still sent here is nobody's to change, while that can be had. */
  takeBack(): void {
    if (!this.#exists) unlessFailed(() => this.#lock(bytes.references, 'shared'));
  }

  /** Locks the tree before references are taken. False while another service changes bytes. */
  share(): boolean {
    if (this.#shared || !this.#exists) return true;
    this.#shared = this.#changes > 0 || this.#lock(bytes.references, 'shared');
    return this.#shared;
  }

  /** Resolves when pages can be taken: one look for all who wait. */
  shared(): Promise<void> {
    this.#waiting ??= this.#pollShared().finally(() => {
      this.#waiting = undefined;
    });
    return this.#waiting;
  }

  async #pollShared(): Promise<void> {
    while (!this.share()) await delay(pollMilliseconds, undefined, { ref: false });
  }

  /** Locks the tree before bytes change in place. False while another service holds pages or changes bytes. */
  exclude(): boolean {
    if (this.#changes === 0 && !this.#lock(bytes.references, 'exclusive')) return false;
    this.#changes++;
    return true;
  }

  /** After `exclude`. */
  readmit(): void {
    this.#changes--;
    if (this.#changes === 0) this.#lock(bytes.references, this.#shared ? 'shared' : 'unlocked');
  }

  /** Whether this is the only service that may write to the tree, for as long as `act` runs; if so, runs it. */
  async whileAlone(act: () => Promise<void>): Promise<boolean> {
    if (!this.#lock(bytes.writers, 'exclusive')) return false;
    await act();
    return true;
  }

  /** This service may write from when this resolves: once no other one recovers. @throws when the signal is aborted */
  async join(signal: AbortSignal): Promise<void> {
    while (!this.#lock(bytes.writers, 'shared')) await delay(pollMilliseconds, undefined, { signal });
  }

  // The lock file is open from here on. Where it can't be, nobody else's locks can be seen either.
  #opens(): boolean {
    return unlessFailed(() => this.#lock(bytes.references, 'unlocked')) ?? false;
  }

  // What lanes answer takes the lock for granted: when they were asked for nothing for a while, Node is asked first.
  #sweep(): void {
    if (this.#isKept || !this.#shared || this.#changes > 0 || !this.#relay.answers.isIdle()) return;
    this.#relay.answers.suspend();
    if (!this.#relay.answers.isIdle()) return; // They had begun to answer before that.
    this.#shared = false;
    this.#lock(bytes.references, 'unlocked');
  }

  #lock(byte: number, mode: 'unlocked' | 'shared' | 'exclusive'): boolean {
    return this.#relay.lockTree(this.#tree, lockFile, byte, mode);
  }
}
