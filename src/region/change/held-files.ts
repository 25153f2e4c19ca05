/** What a process that another one has taken the place of still sends, and its leave to change that. @module */
import { type FileKey, fileKeyOf } from '../../relay/file-identity.ts';
import type { NativeRelay } from '../../relay/native-relay.ts';
import type { Claim, Generation } from '../../relay/relay.ts';
import { maxSeconds } from '../within.ts';
import type { PagesAsked, Predecessor } from './predecessor.ts';

/** What ends a lease that the other process was given, or waits for. */
type Closers = (() => void)[];

/** To look who has read what takes a system call for each connection. */
const lookMilliseconds = 250;

/** The files of which a relay holds pages, and those of a process before it. It takes none any more. */
export class HeldFiles {
  readonly #relay: NativeRelay;
  readonly #before: Predecessor;
  readonly #given = new Map<number, Closers>();
  /** What was held at the last look. */
  #own = new Map<FileKey, Generation['id'][]>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(relay: NativeRelay, before: Predecessor) {
    this.#relay = relay;
    this.#before = before;
  }

  /** Those that were sent a moment ago, at least those that are sent now. */
  list(): Set<FileKey> {
    if (performance.now() > this.#lookedAt + lookMilliseconds) this.look();
    return new Set([...this.#before.files, ...this.#own.keys()]);
  }

  /** Whether none was sent at the last look. */
  get isEmpty(): boolean {
    return this.#own.size === 0;
  }

  /** Finds out what is held now. */
  look(): void {
    this.#own = new Map();
    for (const id of this.#held()) {
      const file = this.#relay.fileOf({ id });
      if (file) this.#own.set(fileKeyOf(file), [...(this.#own.get(fileKeyOf(file)) ?? []), id]);
    }
    this.#lookedAt = performance.now();
  }

  #held(): Set<Generation['id']> {
    const generations = new Set<number>();
    for (let after: number | undefined = 0; after !== undefined; ) {
      const { items, next } = this.#relay.references({ after });
      for (const { generation } of items) generations.add(generation);
      after = next;
    }
    return generations;
  }

  /** As of `AskPredecessor`, for the process that has taken this one's place. */
  async lease(id: number, pages: PagesAsked): Promise<boolean> {
    const closers: Closers = [];
    this.#given.set(id, closers);
    try {
      const generation = this.#openAgain(pages.file, closers);
      if (generation) await this.#leaseOwn(generation, pages, closers);
      closers.push(await this.#before.lease(pages, maxSeconds * 1000));
    } catch {
      return false; // They are quarantined, or the other process has gone away meanwhile.
    }
    if (!this.#given.has(id) && !this.#relay.isClosed) closeAll(closers);
    return true;
  }

  /** It has changed the pages, or wants them no more. */
  end(id: number): void {
    if (!this.#relay.isClosed) closeAll(this.#given.get(id) ?? []);
    this.#given.delete(id);
  }

  /** The other process is gone: it changes nothing any more. */
  endAll(): void {
    for (const id of [...this.#given.keys()]) this.end(id);
  }

  // What is closed, and only held, can't be leased: its file is opened once more. What is not held any more need not be.
  #openAgain(file: FileKey, closers: Closers): Generation | undefined {
    const relay = this.#relay;
    const id = this.#own.get(file)?.find((held) => relay.isKnown(held));
    if (id === undefined) return undefined;
    const generation = relay.openAgain({ id });
    closers.push(() => relay.closeGeneration(generation));
    return generation;
  }

  async #leaseOwn(generation: Generation, { offset, length, needs }: PagesAsked, closers: Closers): Promise<void> {
    const relay = this.#relay;
    const claim = relay.claims.lease(generation, offset, length, 'nothing');
    closers.push(() => relay.claims.endLease(claim));
    await hasIt(claim);
    await relay.claims.keepUnsent(claim);
    await hasIt(relay.claims.waitFor(claim, needs));
  }
}

async function hasIt(claim: Claim): Promise<void> {
  if (!claim.atOnce && !(await claim.granted)) throw new Error('these pages can not be had');
}

function closeAll(closers: Closers): void {
  for (const close of closers.splice(0).toReversed()) close();
}
