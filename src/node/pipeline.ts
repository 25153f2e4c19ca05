/**
 * One request of a connection at a time. Node parses all that it has read, so that the handlers of a thousand pipelined
 * requests run in one turn of the event loop, and their answers wait in memory for a client that may read none of them.
 * Here the parser is given one request; the next one when the response to it has ended, in a later turn, so that others
 * are answered in between.
 *
 * @module
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isParserPaused, parserOf } from './internals.ts';
import { holdBack, letGo } from './reading.ts';

type Listener = (...values: unknown[]) => void;

/** A connection is not read on while it has sent so many bytes, or more, that wait to be parsed. */
const mostUnparsed = 64 * 1024;

/** And not while these came in so many pieces, each of which costs memory of its own. */
const mostPieces = 64;

/** So many bytes of all connections together may wait. One that goes beyond is closed behind its current response. */
const usualMostInAll = 64 * 1024 * 1024;

const endOfHead = Buffer.from('\r\n\r\n');

let unparsedInAll = 0;

/** Milliseconds of one turn of the event loop for which waiting requests are taken. */
const turnMilliseconds = 2;

/** And so many of them at most. */
const mostInTurn = 32;

const waiting: (() => void)[] = [];
let isPlanned = false;

// A few waiting requests in each turn of the event loop, of whichever connections: what has just come is looked at in
// between, however many connections have sent too much at once. What Node does at the end of a response is done by then.
function inTurn(act: () => void): void {
  waiting.push(act);
  if (!isPlanned) planTurn();
}

// Each is an immediate of its own: what it goes on with in microtasks happens before the next one, and its time counts.
function planTurn(): void {
  isPlanned = true;
  let began: number | undefined;
  const planned = Math.min(waiting.length, mostInTurn);
  for (let left = planned - 1; left >= 0; left--) {
    setImmediate(() => {
      began ??= performance.now();
      const act = performance.now() - began < turnMilliseconds ? waiting.shift() : undefined;
      if (left === 0) endTurn();
      act?.();
    });
  }
}

function endTurn(): void {
  isPlanned = false;
  if (waiting.length > 0) planTurn();
}

const pipelines = new WeakMap<Socket, Pipeline>();

/** The pipeline of a connection, where its server was given to `answerOneByOne`. */
export function pipelineOf(socket: Socket): Pipeline | undefined {
  return pipelines.get(socket);
}

type Own = {
  /** Node's own listener for data, and that for the end. */
  readonly parse: Listener;
  readonly parseEnd: Listener;
  readonly onFull: () => void;
  readonly mostInAll: number;
};

/** The requests of one connection. */
export class Pipeline {
  readonly #socket: Socket;
  readonly #own: Own;
  #unparsed: Buffer[] = [];
  #length = 0;
  /** Of what was parsed last, the bytes that could begin the end of a head. */
  #tail = '';
  #request: IncomingMessage | undefined;
  #response: ServerResponse | undefined;
  /** Bytes of the request's body that were not parsed yet; Infinity where only the parser finds its end. */
  #bodyLeft = 0;
  #ended = false;
  #isFull = false;
  #awaitsDrain = false;
  #discard: ((bytes: number) => void) | undefined;

  constructor(socket: Socket, own: Own) {
    this.#socket = socket;
    this.#own = own;
    pipelines.set(socket, this);
  }

  /** The response that is due, or was the last one. */
  get response(): ServerResponse | undefined {
    return this.#response;
  }

  /** Whether nothing is parsed any more. */
  get isDiscarding(): boolean {
    return this.#discard !== undefined;
  }

  /** Whether the client has not sent all of a request, or more than that. */
  get expectsMore(): boolean {
    return this.#length > 0 || this.#isFull || this.#request?.complete === false;
  }

  /** The parser has found a request. */
  begin(request: IncomingMessage, response: ServerResponse): void {
    if (this.#request === request) return;
    this.#request = request;
    this.#response = response;
    this.#bodyLeft = lengthOfBody(request);
    if (hasFaultyFraming(request)) response.shouldKeepAlive = false;
    response.once('close', () => this.#answered(response));
  }

  receive(chunk: Buffer): void {
    if (this.#discard) {
      this.#discard(chunk.length);
      return;
    }
    if (this.#isFull) return;
    this.#keep(chunk);
    this.#parseOn();
  }

  /** The client sends no more. */
  end(): void {
    this.#ended = true;
    this.#parseOn();
  }

  /** Nothing is parsed any more: what still comes is counted, and thrown away. */
  discard(onBytes: (bytes: number) => void): void {
    this.#discard = onBytes;
    this.forget();
  }

  /** What waits is given up. */
  forget(): void {
    unparsedInAll -= this.#length;
    this.#unparsed = [];
    this.#length = 0;
  }

  #keep(chunk: Buffer): void {
    this.#unparsed.push(chunk);
    this.#length += chunk.length;
    unparsedInAll += chunk.length;
  }

  #parseOn(): void {
    if (this.#socket.destroyed) return; // Its parser may be another connection's by now.
    while (this.#length > 0 && this.#mayParse()) this.#own.parse(this.#take());
    const isMuch = this.#length >= mostUnparsed || this.#unparsed.length >= mostPieces;
    if (isMuch) holdBack(this.#socket, 'unparsed bytes');
    else letGo(this.#socket, 'unparsed bytes');
    // What a connection sends while it is answered: others have room too.
    if (this.#length > 0 && unparsedInAll > this.#own.mostInAll) this.#giveUp();
    if (this.#ended && this.#length === 0 && !this.isDiscarding) this.#parseEndOnce();
  }

  // RFC 9112 9.3.2: a client sends again what a close has left unanswered.
  #giveUp(): void {
    this.#isFull = true;
    this.#own.onFull();
    this.forget();
    // Without a response that is due, nothing else would close it.
    if (!this.#response) this.#socket.destroySoon();
    else if (!this.#response.headersSent) this.#response.shouldKeepAlive = false;
  }

  #mayParse(): boolean {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded || this.isDiscarding) return false;
    if (this.#response && this.#request?.complete === true) return false;
    if (!isParserPaused(socket)) return true;
    this.#parseOnAfterDrain();
    return false;
  }

  // One listener, however many pieces come meanwhile.
  #parseOnAfterDrain(): void {
    if (this.#awaitsDrain) return;
    this.#awaitsDrain = true;
    this.#socket.once('drain', () => {
      this.#awaitsDrain = false;
      this.#parseOn();
    });
  }

  #parseEndOnce(): void {
    this.#ended = false;
    this.#own.parseEnd();
  }

  #answered(response: ServerResponse): void {
    if (this.#response === response) this.#response = undefined;
    if (this.#isFull) this.#socket.destroySoon();
    else if (this.#length > 0 || this.#ended) inTurn(() => this.#parseOn());
  }

  // No more than one request: up to the end of a head, or of a body whose length is known.
  #take(): Buffer {
    const first = this.#unparsed.shift() ?? Buffer.alloc(0);
    const length = this.#lengthOfPiece(first);
    this.#length -= length;
    unparsedInAll -= length;
    if (length === first.length) return first; // Most requests come in one piece.
    this.#unparsed.unshift(first.subarray(length));
    return first.subarray(0, length);
  }

  #lengthOfPiece(chunk: Buffer): number {
    if (this.#request?.complete === false && this.#bodyLeft > 0 && this.#bodyLeft !== Number.POSITIVE_INFINITY) {
      const length = Math.min(this.#bodyLeft, chunk.length);
      this.#bodyLeft -= length;
      this.#tail = '';
      return length;
    }
    // A body in chunks ends by the same bytes (RFC 9112 7.1).
    const end = endIn(this.#tail, chunk);
    this.#tail =
      end === undefined ? (this.#tail + chunk.toString('latin1', Math.max(0, chunk.length - 3))).slice(-3) : '';
    return end ?? chunk.length;
  }
}

// Behind the end of a head, which may have begun in what came before.
function endIn(tail: string, chunk: Buffer): number | undefined {
  if (tail !== '') {
    const across = (tail + chunk.toString('latin1', 0, endOfHead.length - 1)).indexOf(endOfHead.toString());
    if (across >= 0) return across + endOfHead.length - tail.length;
  }
  const at = chunk.indexOf(endOfHead);
  return at < 0 ? undefined : at + endOfHead.length;
}

function lengthOfBody({ headers }: IncomingMessage): number {
  if (headers['transfer-encoding'] !== undefined) return Number.POSITIVE_INFINITY;
  return Number(headers['content-length'] ?? 0);
}

// RFC 9112 6.1: nobody knows where a message of HTTP/1.0 with Transfer-Encoding ends. So it is with other versions.
function hasFaultyFraming({ httpVersion, headers }: IncomingMessage): boolean {
  return httpVersion !== '1.1' && (httpVersion !== '1.0' || headers['transfer-encoding'] !== undefined);
}

/**
 * Has a server's connections answered one request at a time.
 *
 * @param server one that speaks HTTP/1, and upgrades to nothing
 * @param onConnection is given each
 * @param onFull is told of each that is closed because too much waits
 * @param mostInAll bytes that may wait to be parsed, of all connections of the process
 */
export function answerOneByOne(
  server: Server,
  onConnection: (socket: Socket, pipeline: Pipeline) => void,
  onFull: () => void,
  mostInAll = usualMostInAll,
): void {
  server.on('connection', (socket: Socket) => {
    const parse = parserOf(socket, 'data');
    const parseEnd = parserOf(socket, 'end');
    if (!parse || !parseEnd) return; // Everything is as Node does it (feature-test.ts).
    const pipeline = new Pipeline(socket, { parse, parseEnd, onFull, mostInAll });
    socket.on('data', (chunk: Buffer) => pipeline.receive(chunk));
    socket.on('end', () => pipeline.end());
    socket.once('close', () => pipeline.forget());
    socket.removeListener('data', parse);
    socket.removeListener('end', parseEnd);
    onConnection(socket, pipeline);
  });
  for (const event of ['request', 'checkContinue', 'checkExpectation']) {
    server.prependListener(event, (request: IncomingMessage, response: ServerResponse) =>
      pipelines.get(request.socket)?.begin(request, response),
    );
  }
}
