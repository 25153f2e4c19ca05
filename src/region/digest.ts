/** Digests of whole regions (RFC 9530), computed once per version, beside the event loop. @module */
import { close } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { JudgedContent, Relay } from '../relay/relay.ts';

/** What a request for a digest waits for one that is being computed, in milliseconds. */
const longestWait = 1000;

// In development the sources run as they are; in the package they are JavaScript.
const workerFile = new URL(`./digest-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/** The SHA-256 of regions, as base64. */
export class Digests {
  readonly #relay: Relay;
  readonly #known = new WeakMap<JudgedContent, Promise<string | undefined>>();
  /** One at a time: a digest may take a core for minutes, and others are sending. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(relay: Relay) {
    this.#relay = relay;
  }

  /**
   * The digest of this content; undefined when it can't be had within a second, or at all. A computation that took
   * longer goes on, for the next who asks.
   */
  async of(content: JudgedContent): Promise<string | undefined> {
    let digest = this.#known.get(content);
    if (!digest) {
      digest = this.#compute(content);
      this.#known.set(content, digest);
    }
    const patience = new AbortController();
    const late = delay(longestWait, undefined, { signal: patience.signal, ref: false }).catch(() => undefined);
    try {
      return await Promise.race([digest, late]);
    } finally {
      patience.abort();
    }
  }

  #compute(content: JudgedContent): Promise<string | undefined> {
    const digest = this.#last.then(() => this.#digestNow(content));
    this.#last = digest;
    return digest;
  }

  // A failure is not kept: the next who asks may have more luck.
  async #digestNow(content: JudgedContent): Promise<string | undefined> {
    // A descriptor of its own, for the generation may be closed while this goes on.
    const fd = this.#relay.isSettled(content) ? this.#relay.reopen(content.generation) : undefined;
    try {
      const digest = fd === undefined ? undefined : await digestOf(fd, content.generation.size);
      // Bytes that were overwritten meanwhile belong to another version.
      if (this.#relay.isSettled(content)) return digest;
    } catch {
      // A file that became shorter has another digest soon.
    } finally {
      if (fd !== undefined) close(fd); // Beside the event loop: it may be the last close of a file without a name.
    }
    this.#known.delete(content);
    return undefined;
  }
}

function digestOf(fd: number, size: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(workerFile, { workerData: { fd, size } });
    worker.unref();
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the digest was given up')));
  });
}
