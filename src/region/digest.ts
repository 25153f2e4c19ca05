/** Digests of whole regions (RFC 9530), computed once per version, beside the event loop. @module */
import { close, fstatSync } from 'node:fs';
import { identityOf, isSameChange } from '../relay/file-identity.ts';
import type { JudgedContent, Relay } from '../relay/relay.ts';
import { DigestThread } from './digest-thread.ts';
import { within } from './within.ts';

/** What a request for a digest waits for one that is being computed, in milliseconds. */
const longestWait = 1000;

/** How many are computed at a time. Where more are asked for, the longest is given up for a shorter one. */
const mostAtOnce = 16;

/** Whoever asks for a digest: a connection that says when it is closed. */
export type Asker = {
  readonly destroyed?: boolean;
  once(event: 'close', listener: () => void): unknown;
};

/** How digests that were asked for ended. */
export type DigestOutcome = 'computed' | 'failed' | 'cancelled' | 'refused';

type Computation = {
  readonly size: number;
  readonly digest: Promise<string | undefined>;
  readonly askers: Set<Asker>;
  readonly stop: AbortController;
};

/** The SHA-256 of regions, as base64. */
export class Digests {
  /** Computations by how they ended, and those that were not begun: too large, or too many. */
  readonly outcomes: Record<DigestOutcome, number> = { computed: 0, failed: 0, cancelled: 0, refused: 0 };
  readonly #relay: Relay;
  readonly #maxBytes: number;
  readonly #thread = new DigestThread();
  readonly #known = new WeakMap<JudgedContent, string>();
  readonly #running = new Map<JudgedContent, Computation>();
  /** Open connections whose end is listened for. */
  readonly #heard = new WeakSet<Asker>();
  #closed = false;

  /** @param maxBytes the largest region that has a digest */
  constructor(relay: Relay, maxBytes: number) {
    this.#relay = relay;
    this.#maxBytes = maxBytes;
  }

  /** How many are being computed. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * The digest of this content; undefined when it can't be had within a second, or at all. A longer computation goes on
   * for the next request until the last connection that has asked closes.
   */
  async of(content: JudgedContent, asker: Asker): Promise<string | undefined> {
    const known = this.#known.get(content);
    if (known !== undefined) return known;
    const computation = this.#running.get(content) ?? this.#begin(content);
    if (!computation || !this.#remember(computation, asker)) return undefined;
    return within(computation.digest, longestWait);
  }

  /** Gives up what is being computed, and computes no more. */
  close(): void {
    this.#closed = true;
    for (const computation of this.#running.values()) this.#cancel(computation);
    this.#thread.end();
  }

  #begin(content: JudgedContent): Computation | undefined {
    const { size } = content.generation;
    if (this.#closed || size > this.#maxBytes || !this.#makeRoom(size)) {
      this.outcomes.refused++;
      return undefined;
    }
    const stop = new AbortController();
    const digest = this.#compute(content, stop.signal).finally(() => this.#running.delete(content));
    const computation = { size, digest, askers: new Set<Asker>(), stop };
    this.#running.set(content, computation);
    return computation;
  }

  #makeRoom(size: number): boolean {
    const running = [...this.#running.values()].filter(({ stop }) => !stop.signal.aborted);
    if (running.length < mostAtOnce) return true;
    const longest = running.reduce((one, other) => (other.size > one.size ? other : one));
    if (longest.size <= size) return false;
    this.#cancel(longest);
    return true;
  }

  #cancel({ stop }: Computation): void {
    if (!stop.signal.aborted) this.outcomes.cancelled++;
    stop.abort();
  }

  /** Whether the connection is still there. One that is closed says so no more. */
  #remember(computation: Computation, asker: Asker): boolean {
    computation.askers.add(asker);
    if (asker.destroyed === true) this.#leave(computation, asker);
    else if (!this.#heard.has(asker)) {
      this.#heard.add(asker);
      asker.once('close', () => {
        for (const each of this.#running.values()) this.#leave(each, asker);
      });
    }
    return asker.destroyed !== true;
  }

  #leave(computation: Computation, asker: Asker): void {
    if (computation.askers.delete(asker) && computation.askers.size === 0) this.#cancel(computation);
  }

  // A failure is not kept: the next who asks may have more luck.
  async #compute(content: JudgedContent, signal: AbortSignal): Promise<string | undefined> {
    const digest = await this.#read(content, signal).catch(() => undefined);
    if (signal.aborted) return undefined;
    this.outcomes[digest === undefined ? 'failed' : 'computed']++;
    if (digest !== undefined) this.#known.set(content, digest);
    return digest;
  }

  async #read(content: JudgedContent, signal: AbortSignal): Promise<string | undefined> {
    // A descriptor of its own, for the generation may be closed while this goes on.
    const fd = this.#relay.isSettled(content) ? this.#relay.reopen(content.generation) : undefined;
    if (fd === undefined) return undefined;
    try {
      if (!this.#isStill(content, fd)) return undefined;
      const digest = await this.#thread.digest(fd, content.generation.size, signal);
      return this.#isStill(content, fd) ? digest : undefined;
    } finally {
      close(fd); // Beside the event loop: it may be the last close of a file without a name.
    }
  }

  // It is asked before and after: bytes that were changed meanwhile, here or by others, belong to another version.
  #isStill(content: JudgedContent, fd: number): boolean {
    const now = identityOf(fstatSync(fd, { bigint: true }));
    return this.#relay.isSettled(content) && isSameChange(now, content.generation);
  }
}
