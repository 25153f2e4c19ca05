/** What lanes were granted to answer by themselves, and what they have answered. @module */
import { type Engine, type Outcome, SystemError } from './relay.ts';
import { errnoName, type Shim, type ShimRelay } from './shim.ts';

/** The request that a connection was granted after. */
export type GrantedRequest = { readonly url: string; readonly remoteAddress: string; readonly requestId: string };

/** What a lane may answer, for how long (native-shim/core/relay.h: struct pr_grant). */
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

const fieldsOfAnswer = 9;
const takeEvery = 100; // milliseconds

/** How a connection came back: whole, or broken off or closed; and how many requests were answered meanwhile. */
export type Returned = { readonly whole: boolean; readonly answers: number };

type Granted = { readonly about: GrantedRequest; readonly resolve: (returned: Returned) => void };

/** The connections that lanes have, by number. */
export class Grants {
  readonly #shim: Shim;
  readonly #relay: ShimRelay;
  readonly #onAnswer: OnAnswer | undefined;
  readonly #granted = new Map<number, Granted>();
  #timer: NodeJS.Timeout | undefined;

  /** @param onAnswer undefined where lanes keep no answers */
  constructor(shim: Shim, relay: ShimRelay, onAnswer: OnAnswer | undefined) {
    this.#shim = shim;
    this.#relay = relay;
    this.#onAnswer = onAnswer;
  }

  /** Resolves when the connection is Node's again, or gone. Undefined: it can't be granted. */
  grant(connection: number, grant: Grant): Promise<Returned> | undefined {
    if (this.#shim.grant(this.#relay, connection, grant) < 0) return undefined;
    if (this.#onAnswer) this.#timer ??= setInterval(() => this.take(), takeEvery).unref();
    return new Promise((resolve) => this.#granted.set(connection, { about: grant.about, resolve }));
  }

  /** What a lane has read of a connection that came back, and not answered: Node's to read before the socket. */
  unread(connection: number): Buffer {
    const bytes = this.#shim.unread(this.#relay, connection);
    if (typeof bytes === 'number') throw new SystemError(errnoName(bytes), 'unread');
    return bytes;
  }

  /** A connection is Node's again, or gone. */
  end(connection: number, returned: Returned): void {
    const granted = this.#granted.get(connection);
    if (!granted) return;
    this.take(); // What it has answered is told of by its number.
    this.#granted.delete(connection);
    if (this.#granted.size === 0) this.#stopTaking();
    granted.resolve(returned);
  }

  /** Before the relay is closed. */
  close(): void {
    for (const connection of [...this.#granted.keys()]) this.end(connection, { whole: false, answers: 0 });
  }

  /** Tells of the answers that were not told of yet. */
  take(): void {
    if (!this.#onAnswer) return;
    const answers = this.#shim.answers(this.#relay);
    for (let at = 0; at < answers.length; at += fieldsOfAnswer) {
      const [connection, offset, length, bytes, engine, outcome, errno, took, ago] = answers.slice(
        at,
        at + fieldsOfAnswer,
      ) as [number, number, number, number, Engine, Outcome, number, number, number];
      const about = this.#granted.get(connection)?.about;
      const code = errno === 0 ? undefined : errnoName(errno);
      if (about) this.#onAnswer(about, { offset, length, bytes, engine, outcome, code, took, ago });
    }
  }

  #stopTaking(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
