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
import { onceEnded } from '../observe/response-end.ts';
import { isParserPaused, parserOf } from './internals.ts';
import { inTurn } from './loop-turns.ts';
import { holdBack, letGo } from './reading.ts';
import { bytesInAll, Unparsed } from './unparsed.ts';

type Listener = (...values: unknown[]) => void;

/** So many bytes of all connections together may wait. One that goes beyond is closed behind its current response. */
const usualMostInAll = 64 * 1024 * 1024;

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
  readonly #unparsed = new Unparsed();
  /** What the parser has of a request that it has not found yet. */
  #begun: Buffer[] = [];
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
    return this.#unparsed.length > 0 || this.#isFull || this.#request?.complete === false;
  }

  /** Takes what has come and belongs to no request yet, or to later ones: nothing of it is parsed here any more. */
  takeRest(): Buffer {
    const rest = Buffer.concat([...this.#begun, ...this.#unparsed.takeAll()]);
    this.discard(() => {});
    return rest;
  }

  /** The parser has found a request. */
  begin(request: IncomingMessage, response: ServerResponse): void {
    if (this.#request === request) return;
    this.#begun = [];
    this.#request = request;
    this.#response = response;
    this.#bodyLeft = lengthOfBody(request);
    if (hasFaultyFraming(request)) response.shouldKeepAlive = false;
    onceEnded(response, () => this.#answered(response));
  }

  receive(chunk: Buffer): void {
    if (this.#discard) {
      this.#discard(chunk.length);
      return;
    }
    if (this.#isFull) return;
    if (this.#isNextAlone(chunk)) {
      this.#parse(chunk);
      return;
    }
    this.#unparsed.push(chunk);
    this.#parseOn();
  }

  // What is no body's may be the beginning of a head. `begin` comes within the call, with the end of that.
  #parse(piece: Buffer): void {
    if (this.#request?.complete !== false) this.#begun.push(piece);
    this.#own.parse(piece);
  }

  // The usual case: one head and nothing else, while no request is under way.
  #isNextAlone(chunk: Buffer): boolean {
    const isFree = !this.#response && this.#request?.complete !== false;
    return isFree && this.#unparsed.wouldBeOneHead(chunk) && this.#mayParse();
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
    this.#unparsed.clear();
  }

  #parseOn(): void {
    if (this.#socket.destroyed) return; // Its parser may be another connection's by now.
    const unparsed = this.#unparsed;
    while (unparsed.length > 0 && this.#mayParse()) this.#parse(this.#take());
    if (unparsed.isMuch) holdBack(this.#socket, 'unparsed bytes');
    else letGo(this.#socket, 'unparsed bytes');
    // What a connection sends while it is answered: others have room too.
    if (unparsed.length > 0 && bytesInAll() > this.#own.mostInAll) this.#giveUp();
    if (this.#ended && unparsed.length === 0 && !this.isDiscarding) this.#parseEndOnce();
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
    else if (this.#unparsed.length > 0 || this.#ended) inTurn(() => this.#parseOn());
  }

  #take(): Buffer {
    const isInBody = this.#request?.complete === false && Number.isFinite(this.#bodyLeft);
    const piece = this.#unparsed.take(isInBody ? this.#bodyLeft : 0);
    if (isInBody) this.#bodyLeft = Math.max(0, this.#bodyLeft - piece.length);
    return piece;
  }
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
