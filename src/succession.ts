/** A service that goes and one that comes in its place: what each does with its server. @module */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, InjectOptions } from 'fastify';
import { answerError } from './http/problem/errors.ts';
import { ProblemError } from './http/problem/problems.ts';
import type { ForwardedAnswer, ForwardedRequest } from './http/write/forwarding.ts';
import { hasBody } from './node/deadlines.ts';
import { admit, descriptorOfListener, isOfLanes, leaveListener, passOnRequest } from './node/lane-server.ts';
import { keyOf, type ListenAt, type Listeners } from './node/listeners.ts';
import { isIdle, PassingOn, type SendConnection } from './node/passing-on.ts';
import type { Room } from './node/room.ts';
import { leaveUnlogged } from './observe/access-log.ts';
import type { Pagerelay } from './pagerelay.ts';
import { NotOurs } from './region/change/role.ts';
import type { FileKey } from './relay/file-identity.ts';
import { NativeRelay } from './relay/native-relay.ts';

/** How often a process that goes looks for connections that have become idle, and for what is not sent any more. */
const pollMilliseconds = 20;

/** A lane can have accepted a connection that waits so long for room, and that nobody has heard of (lanes/room.c). */
const leastMilliseconds = 300;

/** The process that comes, as the one that goes sees it. */
export type Heir = {
  readonly sendConnection: SendConnection;
  ask(request: ForwardedRequest): Promise<ForwardedAnswer>;
  /** No page of these files is sent any more. */
  released(files: readonly FileKey[]): void;
};

/** What a service does with its server when it goes, or comes. */
export class Succession {
  readonly #app: FastifyInstance;
  readonly #opened: Pagerelay;
  readonly #room: Room;
  readonly #listeners: Listeners;
  #heir: Heir | undefined;
  #passingOn: PassingOn | undefined;
  /** Ends answers that have no end of their own: whoever has them asks again. */
  onLeave: () => void = () => {};

  constructor(app: FastifyInstance, opened: Pagerelay, room: Room, listeners: Listeners) {
    this.#listeners = listeners;
    this.#app = app;
    this.#opened = opened;
    this.#room = room;
  }

  /** The descriptors that the service listens by, by `keyOf` their places. They stay its own. */
  sockets(): Map<string, number> {
    const sockets = new Map<string, number>();
    for (const listener of this.#listeners.all) {
      const fd = descriptorOfListener(listener);
      if (fd !== undefined) sockets.set(keyOf(listener.at), fd);
    }
    return sockets;
  }

  /** What the places are called that the service listens at. */
  keys(): Set<string> {
    return new Set(this.#listeners.all.map(({ at }) => keyOf(at)));
  }

  /** Whether a socket that listens there already was inherited from a predecessor. */
  inherits(at: ListenAt): boolean {
    return this.#listeners.inherited.has(keyOf(at));
  }

  /** Sockets that listen already, by which this process is to listen. */
  inherit(sockets: ReadonlyMap<string, number>): void {
    this.#listeners.inherited = sockets;
  }

  /** The process that goes: what it can't answer any more goes to the heir from now on, with its connection. */
  passTo(heir: Heir): void {
    this.#heir = heir;
    this.#passingOn = new PassingOn(this.#app.server, this.#relay(), heir.sendConnection);
    const { writer } = this.#opened;
    if (writer) writer.successor.ask = heir.ask;
  }

  /**
   * After `passTo`: it accepts no more, and gives its connections to the heir, each when nothing is under way on it.
   * Resolves when it has none, and sends nothing any more.
   *
   * @param mayEnd whether nothing else keeps it @param signal has it wait no longer
   */
  async leave(mayEnd: () => boolean, signal: AbortSignal): Promise<void> {
    const { publisher, takeover } = this.#opened;
    for (const listener of this.#listeners.all) leaveListener(listener);
    publisher?.close();
    this.onLeave();
    let files = takeover.held?.list() ?? new Set();
    const earliest = performance.now() + leastMilliseconds;
    while (!signal.aborted) {
      for (const socket of this.#room.idle()) if (isIdle(socket)) void this.#passingOn?.pass(socket);
      const now = takeover.held?.list() ?? new Set();
      const gone = [...files].filter((file) => !now.has(file));
      if (gone.length > 0) this.#heir?.released(gone);
      files = now;
      if (performance.now() > earliest && this.#isEmpty() && mayEnd()) break;
      await delay(pollMilliseconds);
    }
    takeover.held?.look();
  }

  #isEmpty(): boolean {
    const { relay, inFlight } = this.#opened;
    const isPassing = this.#room.size > 0 || (this.#passingOn?.underway ?? 0) > 0;
    return !isPassing && relay.counters().connections === 0 && !inFlight(); // The last one looks who has read what.
  }

  /** The process that comes gets a connection, and what was read of it and not answered. @param by as of `SendConnection` */
  admit(handle: object, by: string, unanswered: Buffer): void {
    const { all } = this.#listeners;
    const [key, address, port] = by.split('\0');
    const number = all.findIndex(({ at }) => keyOf(at) === key);
    const listener = all[number];
    const relay = listener && isOfLanes(listener) ? this.#relay() : undefined;
    const client = address === undefined ? undefined : { address, port: Number(port) };
    // Lanes know clients that proxies have named by the headers that they have read themselves.
    admit(this.#app.server, { listener, relay: client ? undefined : relay, number, client }, handle, unanswered);
  }

  /** The process that comes answers for the one that goes. */
  async answer({ method, url, headers, remoteAddress, body }: ForwardedRequest): Promise<ForwardedAnswer> {
    const payload = body && this.#payloadOf(body);
    const request = { method, url, headers, remoteAddress, ...(payload && { payload }) };
    const { statusCode: status, headers: fields, rawPayload } = await this.#app.inject(request as InjectOptions);
    return { status, headers: fields, body: rawPayload };
  }

  // The other process has written it to the tree that this one has as well.
  #payloadOf(body: NonNullable<ForwardedRequest['body']>): Buffer | NodeJS.ReadableStream | undefined {
    if (body instanceof Uint8Array) return Buffer.from(body);
    const uploads = this.#opened.writer?.store.tree.paths.uploads;
    if (uploads === undefined || body.length === 0) return undefined;
    return createReadStream(join(uploads, body.file), { end: body.length - 1 });
  }

  #relay(): NativeRelay | undefined {
    const { relay } = this.#opened;
    return relay instanceof NativeRelay ? relay : undefined;
  }
}

/** What is asked of a process that goes, and can't be answered there any more, goes to the heir with its connection. */
export function answerOrPassOn(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): void {
  const isPassedOn =
    error instanceof NotOurs && !hasBody(request.raw) && passOnRequest(request.raw, request.originalUrl);
  if (!isPassedOn) {
    answerError(error instanceof NotOurs ? new ProblemError('draining') : error, request, reply);
    return;
  }
  leaveUnlogged(reply);
  reply.hijack();
}
