/** One stream of snapshots for all who watch. @module */
import { Readable } from 'node:stream';

/** The shortest and the longest wait between two snapshots, in milliseconds. */
const leastWait = 250;
const mostWait = 10_000;
/** How often viewers are told while nothing changes. */
const idleWait = 1000;

/** A snapshot is followed by so many times the wait that it took: it may take a 400th of a core. */
const restPerWork = 400;

/** How many times are kept. The quickest counts, for the others may have been without a CPU. */
const timesKept = 4;

/** The longest wait before so many are known: the first snapshots are slow. */
const learningWait = 500;

const mostViewers = 64;

/** What viewers are shown. */
export type Taken = {
  /** While it stays the same, viewers are told once a second. */
  readonly still: object;
  /** What changes all the time; asked for when it is told. */
  moving(): object;
};

/** Server-sent events (WHATWG HTML 9.2). All viewers share one snapshot at a time; without viewers nothing is done. */
export class Feed {
  readonly #take: () => Promise<Taken>;
  readonly #onFailure: (error: unknown) => void;
  readonly #viewers = new Set<Readable>();
  #timer: NodeJS.Timeout | undefined;
  #frame: Buffer | undefined;
  #body = '';
  #sentAt = 0;
  #dueAt = 0;
  #took: readonly number[] = [];
  #ticking = false;
  #closed = false;

  /** @param take what is shown now: both parts are one object of JSON @param onFailure gets what `take` throws */
  constructor(take: () => Promise<Taken>, onFailure: (error: unknown) => void) {
    this.#take = take;
    this.#onFailure = onFailure;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** A viewer's stream; it is the caller's to destroy. Undefined when there are too many, or the service is closing. */
  join(): Readable | undefined {
    if (this.#closed || this.#viewers.size >= mostViewers) return undefined;
    const viewer = new Readable({ read() {} });
    viewer.once('close', () => this.#leave(viewer));
    this.#viewers.add(viewer);
    if (this.#frame) offer(viewer, this.#frame);
    const wait = Math.max(0, this.#dueAt - performance.now());
    if (!this.#ticking) this.#timer ??= setTimeout(() => void this.#tick(), wait);
    return viewer;
  }

  /** Has all viewers come again: who may watch is judged anew. */
  endAll(): void {
    for (const viewer of this.#viewers) {
      viewer.push(null);
      this.#leave(viewer);
    }
  }

  /** Ends the feed for good. */
  close(): void {
    this.#closed = true;
    this.endAll();
    clearTimeout(this.#timer);
  }

  #leave(viewer: Readable): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#frame = undefined; // What the next one would see first is old by then.
    this.#body = '';
  }

  async #tick(): Promise<void> {
    this.#ticking = true;
    const began = performance.now();
    await this.#tell(began);
    const now = performance.now();
    this.#took = [...this.#took, now - began].slice(-timesKept);
    const wait = waitAfter(this.#took);
    this.#dueAt = now + wait;
    const isWatched = this.#viewers.size > 0 && !this.#closed;
    this.#timer = isWatched ? setTimeout(() => void this.#tick(), wait) : undefined;
    this.#ticking = false;
  }

  async #tell(at: number): Promise<void> {
    try {
      const { still, moving } = await this.#take();
      const body = JSON.stringify(still);
      if (body !== this.#body || at - this.#sentAt >= idleWait) this.#send(body, moving(), at);
    } catch (error) {
      this.#onFailure(error);
      this.endAll(); // They come again, a little later each time.
    }
  }

  #send(body: string, moving: object, at: number): void {
    const rest = JSON.stringify({ at: Math.round(at), ...moving });
    this.#frame = Buffer.from(`data: ${rest.slice(0, -1)},${body.slice(1)}\n\n`);
    this.#body = body;
    this.#sentAt = at;
    for (const viewer of this.#viewers) offer(viewer, this.#frame);
  }
}

function waitAfter(took: readonly number[]): number {
  const wait = Math.min(mostWait, Math.max(leastWait, Math.min(...took) * restPerWork));
  return took.length < timesKept ? Math.min(wait, learningWait) : wait;
}

/** A viewer that is slow misses snapshots: no more than one waits for it. */
function offer(viewer: Readable, frame: Buffer): void {
  if (viewer.readableLength === 0) viewer.push(frame);
}
