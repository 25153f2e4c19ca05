/**
 * The live stream: server-sent events read by `fetch`, for EventSource can't send a token. Comes again when the stream
 * ends, a little later each time.
 *
 * @module
 */

const address = 'page/live';
const keptAs = 'pagerelay-token';
const firstWait = 500;
const longestWait = 8000;

/** Tells of each snapshot, of how the stream is, and when a token is asked for. */
export class Live {
  #on;
  #wait = firstWait;
  #timer = 0;
  #reading;

  /** @param {{snapshot(data: object): void, state(state: string): void, token(refused: boolean): void}} on */
  constructor(on) {
    this.#on = on;
  }

  /** Begins, or begins anew. */
  start() {
    this.stop();
    const reading = new AbortController();
    this.#reading = reading;
    this.#read(reading.signal).catch(() => this.#lost(reading));
  }

  stop() {
    clearTimeout(this.#timer);
    this.#reading?.abort();
    this.#reading = undefined;
  }

  get hasToken() {
    return sessionStorage.getItem(keptAs) !== null;
  }

  useToken(token) {
    sessionStorage.setItem(keptAs, token);
    this.start();
  }

  async #read(signal) {
    const token = sessionStorage.getItem(keptAs);
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const response = await fetch(address, { headers, signal, cache: 'no-store' });
    if (response.status === 401) {
      sessionStorage.removeItem(keptAs);
      this.#on.state('locked');
      this.#on.token(token !== null);
      return;
    }
    if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
    await this.#follow(response.body.pipeThrough(new TextDecoderStream()));
    throw new Error('the stream has ended');
  }

  async #follow(stream) {
    let rest = '';
    for await (const text of partsOf(stream)) {
      const events = (rest + text).split('\n\n');
      rest = events.pop() ?? '';
      const newest = events.at(-1);
      if (newest === undefined) continue;
      this.#wait = firstWait;
      this.#on.state('live');
      this.#on.snapshot(JSON.parse(newest.replace(/^data: /, '')));
    }
  }

  #lost(reading) {
    if (this.#reading !== reading) return; // It was stopped.
    this.#on.state('lost');
    this.#timer = setTimeout(() => this.start(), this.#wait);
    this.#wait = Math.min(longestWait, this.#wait * 2);
  }
}

// Not every browser lets a stream be iterated over by itself.
async function* partsOf(stream) {
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}
