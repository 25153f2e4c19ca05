/** What lanes were granted to answer by themselves, and what they have answered. @module */
import { type Engine, type Outcome, SystemError } from './relay.ts';
import { errnoName, type Shim, type ShimRelay } from './shim.ts';

/** The request that was judged, and who has asked for what the lane has answered. */
export type GrantedRequest = { readonly url: string; readonly remoteAddress: string; readonly requestId: string };

/** What a lane may answer, for how long (native-shim/core/http/express.h: struct pr_grant). */
export type Grant = {
  readonly about: GrantedRequest;
  readonly generation: number;
  readonly epoch: number;
  readonly version: number;
  /** For bodies below `largeFrom` bytes, and for the others. */
  readonly engine: Engine;
  readonly large: Engine;
  readonly largeFrom: number;
  /** Bytes: shorter bodies are copied. */
  readonly copyBelow: number;
  /** The request's head, without the value of its Range, and where that belongs. */
  readonly request: string;
  readonly rangeAt: number;
  /** The response's; of a ranged one without Content-Length, Content-Range and the last empty line. */
  readonly head: string;
  readonly seconds: number;
  readonly most: number;
  /** Whether lanes may answer the same on other connections. */
  readonly open: boolean;
};

/** What a lane has answered. */
export type Answer = {
  /** Bytes, in the region, and how many of them are with the socket. */
  readonly offset: number;
  readonly length: number;
  readonly bytes: number;
  readonly engine: Engine;
  readonly outcome: Outcome;
  readonly code: string | undefined;
  /** Seconds: from the request to the last byte, and since then. */
  readonly took: number;
  readonly ago: number;
};

/** Is told of each answer of a lane, some time later. */
export type OnAnswer = (about: GrantedRequest, answer: Answer) => void;

const fieldsOfAnswer = 10;
const takeEvery = 100; // milliseconds

/** How a connection came back: whole, or broken off or closed; and how many requests were answered meanwhile. */
export type Returned = { readonly whole: boolean; readonly answers: number };

/** What lanes have, by number: connections, and the requests that they answer by. */
export class Grants {
  readonly #shim: Shim;
  readonly #relay: ShimRelay;
  readonly #onAnswer: OnAnswer | undefined;
  readonly #granted = new Map<number, (returned: Returned) => void>();
  readonly #patterns = new Map<number, GrantedRequest>();
  #timer: NodeJS.Timeout | undefined;

  /** @param onAnswer undefined where lanes keep no answers */
  constructor(shim: Shim, relay: ShimRelay, onAnswer: OnAnswer | undefined) {
    this.#shim = shim;
    this.#relay = relay;
    this.#onAnswer = onAnswer;
  }

  /** Resolves when the connection is Node's again, or gone. Undefined: it can't be granted. */
  grant(connection: number, grant: Grant): Promise<Returned> | undefined {
    const { about } = grant;
    const pattern = this.#shim.grant(this.#relay, connection, grant);
    if (pattern < 0) return undefined;
    this.#patterns.set(pattern, about);
    if (this.#onAnswer) this.#timer ??= setInterval(() => this.take(), takeEvery).unref();
    return new Promise((resolve) => this.#granted.set(connection, resolve));
  }

  /** Nothing is answered by a pattern any more. */
  forget(pattern: number): void {
    this.take(); // What was answered by it is told of by its number.
    this.#patterns.delete(pattern);
    if (this.#patterns.size === 0) this.#stopTaking();
  }

  /** What a lane has read of a connection that came back, and not answered: Node's to read before the socket. */
  unread(connection: number): Buffer {
    const bytes = this.#shim.unread(this.#relay, connection);
    if (typeof bytes === 'number') throw new SystemError(errnoName(bytes), 'unread');
    return bytes;
  }

  /** A connection is Node's again, or gone. */
  end(connection: number, returned: Returned): void {
    const resolve = this.#granted.get(connection);
    if (!resolve) return;
    this.take(); // Before Node answers on it again: so the log has its requests in their order.
    this.#granted.delete(connection);
    resolve(returned);
  }

  /** Before the relay is closed. */
  close(): void {
    this.take();
    for (const connection of [...this.#granted.keys()]) this.end(connection, { whole: false, answers: 0 });
    this.#stopTaking();
  }

  /** Tells of the answers that were not told of yet. */
  take(): void {
    if (!this.#onAnswer) return;
    const answers = this.#shim.answers(this.#relay);
    for (let at = 0; at < answers.length; at += fieldsOfAnswer) {
      const [pattern, remoteAddress, offset, length, bytes, engine, outcome, errno, took, ago] = answers.slice(
        at,
        at + fieldsOfAnswer,
      ) as [number, string, number, number, number, Engine, Outcome, number, number, number];
      const about = this.#patterns.get(pattern);
      const code = errno === 0 ? undefined : errnoName(errno);
      if (about)
        this.#onAnswer({ ...about, remoteAddress }, { offset, length, bytes, engine, outcome, code, took, ago });
    }
  }

  #stopTaking(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
