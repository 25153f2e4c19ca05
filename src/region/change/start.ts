/** What a tree needs before anybody may change it, and how much of that readers wait for. @module */
import { setTimeout as delay } from 'node:timers/promises';
import { within } from '../within.ts';
import { recover, undoOverwrites } from './recovery.ts';
import type { Store } from './store.ts';

/** How long readers wait for all of it, so that with few regions nobody meets a start that is not over. */
const quickMilliseconds = 50;

/** What fails is tried again, at first after so long, and each time after twice as long. */
const firstRetryMilliseconds = 500;
const lastRetryMilliseconds = 30_000;

/**
 * Starts a tree that can be changed. Before anybody reads, it undoes overwrites that were cut off: there are few. Then,
 * while regions are read, it looks at each of them: for its version, on which no reader's tag depends, and for its
 * bytes, which count against the quota. Changes wait until that is over.
 */
export class Start {
  /** Whether regions may be changed. */
  isOver = false;
  readonly #store: Store;
  readonly #over = Promise.withResolvers<void>();
  readonly #closing = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Resolves when regions may be read. @throws what undoing fails with */
  async begin(): Promise<void> {
    const readable = Promise.withResolvers<void>();
    this.#running = this.#run(readable.resolve).catch(readable.reject);
    await readable.promise;
    if (await this.isOverWithin(quickMilliseconds)) return;
    this.#store.report('regions can be read, and changed when all of them were looked at', {});
  }

  /**
   * Goes on where another process of this service was, which has put the tree right. @param isCounted whether the regions
   * are counted already
   */
  succeed(isCounted: boolean): void {
    this.#running = this.#join(isCounted);
  }

  /** Whether they may be within so many milliseconds, or until the signal says that nobody waits. */
  async isOverWithin(milliseconds: number, signal?: AbortSignal): Promise<boolean> {
    const signals = signal ? [signal, this.#closing.signal] : [this.#closing.signal];
    if (!this.isOver) await within(this.#over.promise, milliseconds, ...signals);
    return this.isOver;
  }

  /** Resolves when nothing of it goes on. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  // A second service that may write to the tree leaves alone what the first one has there.
  async #run(readable: () => void): Promise<void> {
    const { tree, report } = this.#store;
    const { signal } = this.#closing;
    const alone = await tree.lock.whileAlone(async () => {
      const kept = await undoOverwrites(this.#store);
      readable();
      await this.#untilDone('what the last run left behind is not put right yet', () =>
        recover(this.#store, kept, signal),
      );
    });
    if (!alone) report('another service can write to this tree: nothing of it is recovered', {});
    readable();
    await this.#join(false);
  }

  async #join(isCounted: boolean): Promise<void> {
    const { signal } = this.#closing;
    await this.#untilDone('the tree can not be joined yet', () => this.#store.tree.lock.join(signal));
    const counting = this.#untilDone('the regions are not counted yet', async () => {
      if (!isCounted) await count(this.#store, signal);
    });
    if (this.#store.quota.isLimited) await counting;
    if (!signal.aborted) this.isOver = true;
    this.#over.resolve();
    await counting;
  }

  async #untilDone(otherwise: string, act: () => Promise<void>): Promise<void> {
    const { signal } = this.#closing;
    for (let wait = firstRetryMilliseconds; !signal.aborted; wait = Math.min(2 * wait, lastRetryMilliseconds)) {
      try {
        return await act();
      } catch (err) {
        if (signal.aborted) return;
        this.#store.report(`${otherwise}, and tried again`, { err, afterMilliseconds: wait });
        await delay(wait, undefined, { signal }).catch(() => {});
      }
    }
  }
}

// What is changed meanwhile says its size itself, before or after it is counted here.
async function count({ catalog, quota }: Store, signal: AbortSignal): Promise<void> {
  for await (const sizes of catalog.list.sizes()) {
    signal.throwIfAborted();
    for (const [name, bytes] of sizes) quota.set(name, bytes);
  }
}
