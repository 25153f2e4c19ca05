/** Pages that a process still sends whose place this one has taken. @module */
import type { FileKey } from '../../relay/file-identity.ts';
import type { Needs } from '../../relay/relay.ts';
import { within } from '../within.ts';
import { Refusal } from './refusal.ts';

/** Pages that somebody wants to change. Bytes; `length` may be Infinity. */
export type PagesAsked = {
  readonly file: FileKey;
  readonly offset: number;
  readonly length: number;
  readonly needs: Exclude<Needs, 'nothing'>;
};

/** How the other process is asked. */
export type AskPredecessor = {
  /**
   * Resolves when it sends none of these pages any more, or has kept what it has not sent yet; it takes none until `end`.
   * False where nobody can tell when that will be.
   */
  lease(id: number, pages: PagesAsked): Promise<boolean>;
  end(id: number): void;
};

/** How long the pages of a process that has died stay as they are: its peers may read what the kernel had of it. */
const quarantineMilliseconds = 30_000;

/**
 * Knows which files another process still sends, and asks it before their pages are changed. That one takes no further
 * pages, so what it sends becomes less, until it has ended.
 */
export class Predecessor {
  readonly #held = new Map<FileKey, PromiseWithResolvers<void>>();
  #ask: AskPredecessor | undefined;
  #last = 0;
  readonly #quarantine: number;

  /** @param quarantine milliseconds that pages of one that has died are kept as they are */
  constructor(quarantine: number = quarantineMilliseconds) {
    this.#quarantine = quarantine;
  }

  /** It sends pages of these files. */
  begin(files: Iterable<FileKey>, ask: AskPredecessor): void {
    for (const file of files) this.#held.set(file, Promise.withResolvers());
    this.#ask = ask;
  }

  /** It sends none of these any more. */
  released(files: Iterable<FileKey>): void {
    for (const file of files) {
      this.#held.get(file)?.resolve();
      this.#held.delete(file);
    }
  }

  /**
   * It has ended. Where it has died the kernel may still send what sockets had taken of it, and nobody can ask who has read
   * it: its pages stay as they are for a while.
   */
  ended(hasDied: boolean): void {
    this.#ask = undefined;
    const files = [...this.#held.keys()];
    if (hasDied) setTimeout(() => this.released(files), this.#quarantine).unref();
    else this.released(files);
  }

  /** Whether it may send pages of a file. */
  has(file: FileKey): boolean {
    return this.#held.has(file);
  }

  /** The files that it may send pages of. */
  get files(): Iterable<FileKey> {
    return this.#held.keys();
  }

  /** Resolves when it sends no page of a file. */
  async gone(file: FileKey): Promise<void> {
    await this.#held.get(file)?.promise;
  }

  /**
   * Waits until it is through with these pages. Gives what is to be called when they were changed.
   *
   * @param milliseconds how long it waits
   * @throws Refusal `range-busy`; what a signal is aborted by
   */
  async lease(pages: PagesAsked, milliseconds: number, ...signals: readonly AbortSignal[]): Promise<() => void> {
    const held = this.#held.get(pages.file);
    if (!held) return () => {};
    const id = ++this.#last;
    const ask = this.#ask;
    const end = () => ask?.end(id);
    const gone = held.promise.then(() => true);
    const whenSent = () => (pages.needs === 'accepted' ? true : gone); // One that has died sends nothing more.
    const leased = ask ? ask.lease(id, pages).catch(whenSent) : whenSent();
    const had = await within(Promise.race([gone, leased]), milliseconds, ...signals);
    if (had) return end;
    end();
    for (const signal of signals) signal.throwIfAborted();
    const detail =
      had === undefined
        ? 'The process that was here before has had readers of it for as long as was waited.'
        : 'Pages of it are quarantined: nobody can tell when they are done.';
    throw new Refusal('range-busy', detail);
  }
}
