/** The thread that computes digests beside the event loop; there is one while there is anything to compute. @module */
import { Worker } from 'node:worker_threads';

/** What to read: `size` bytes of a descriptor that stays open until the answer. */
export type DigestWork = { readonly fd: number; readonly size: number };

/** A digest to begin, or, without `work`, to give up. */
export type DigestOrder = { readonly id: number; readonly work?: DigestWork };

/** SHA-256 as base64; undefined when the file could not be read so far, or it was given up. */
export type DigestAnswer = { readonly id: number; readonly digest: string | undefined };

/** A thread with nothing to do ends after so long: it has some MiB. */
const idleMilliseconds = 1000;

// In development the sources run as they are; in the package they are JavaScript.
const workerFile = new URL(`./digest-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/** What was ordered, and from which thread. */
type Ordered = { readonly worker: Worker; readonly settle: (digest: string | undefined) => void };

/** Orders digests from a thread that is there when it is needed. */
export class DigestThread {
  readonly #ordered = new Map<number, Ordered>();
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #ids = 0;

  /**
   * The digest of the first `size` bytes of a descriptor, which must stay open until this settles.
   *
   * @throws Error when no thread can be had
   */
  async digest(fd: number, size: number, signal: AbortSignal): Promise<string | undefined> {
    clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const id = ++this.#ids;
    const giveUp = () => worker.postMessage({ id });
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      return await new Promise((settle) => {
        this.#ordered.set(id, { worker, settle });
        worker.postMessage({ id, work: { fd, size } });
      });
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** Ends the thread, and gives up what it has to do. */
  end(): void {
    clearTimeout(this.#idle);
    void this.#worker?.terminate(); // Its exit settles what was ordered of it: by then it reads no more.
    this.#worker = undefined;
  }

  #start(): Worker {
    const worker = new Worker(workerFile);
    worker.unref();
    worker.on('message', ({ id, digest }: DigestAnswer) => this.#settle(id, digest));
    worker.on('error', () => {}); // An exit follows.
    worker.once('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
      for (const [id, ordered] of [...this.#ordered]) if (ordered.worker === worker) this.#settle(id, undefined);
    });
    return worker;
  }

  #settle(id: number, digest: string | undefined): void {
    this.#ordered.get(id)?.settle(digest);
    this.#ordered.delete(id);
    if (this.#ordered.size === 0) this.#idle = setTimeout(() => this.end(), idleMilliseconds).unref();
  }
}
