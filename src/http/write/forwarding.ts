/** Changes that are asked of a process whose place another one has taken: that one carries them out. @module */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { basename } from 'node:path';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { leaveUnlogged } from '../../observe/access-log.ts';
import { NotOurs, type Role } from '../../region/change/role.ts';
import { FileUpload, type Upload } from '../../region/change/upload.ts';
import { ProblemError } from '../problem/problems.ts';

/** A request as it can be sent to another process. */
export type ForwardedRequest = {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string;
  /** The bytes themselves, or an upload's file that has so many, by its name. */
  readonly body: Uint8Array | { readonly file: string; readonly length: number } | undefined;
};

/** What it is answered there. */
export type ForwardedAnswer = {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Uint8Array;
};

/** The process that has taken this one's place, for changes that still come here. */
export class Successor {
  readonly role: Role;
  /** Asks it; undefined while it is not known, and when it has gone. */
  ask: ((request: ForwardedRequest) => Promise<ForwardedAnswer>) | undefined;

  constructor(role: Role) {
    this.role = role;
  }

  /** Whether that is the one to judge a request, as soon as that is known. */
  async isThere(): Promise<boolean> {
    return !this.role.isOurs && (await this.role.whetherSucceeded());
  }

  /**
   * Has a change carried out here, or there. @param upload its body, which is used up; undefined for what Fastify has
   * parsed
   */
  async carryOut(
    request: FastifyRequest,
    reply: FastifyReply,
    act: () => Promise<FastifyReply>,
    upload?: Upload,
  ): Promise<FastifyReply> {
    for (;;) {
      try {
        this.role.check();
        return await act();
      } catch (error) {
        if (!(error instanceof NotOurs)) throw error;
      }
      if (await this.isThere()) return await this.#forward(request, reply, upload);
    }
  }

  async #forward(request: FastifyRequest, reply: FastifyReply, upload: Upload | undefined): Promise<FastifyReply> {
    try {
      if (!this.ask) throw new ProblemError('draining');
      leaveUnlogged(reply);
      const { status, headers, body } = await this.ask(forwarded(request, upload));
      return reply.code(status).headers(endToEnd(headers)).send(Buffer.from(body));
    } finally {
      upload?.discard();
    }
  }
}

function forwarded(request: FastifyRequest, upload: Upload | undefined): ForwardedRequest {
  const { method, originalUrl: url, ip: remoteAddress } = request;
  const body = bodyOf(request, upload);
  const { expect, 'transfer-encoding': coding, connection, ...headers } = request.headers;
  const length = body === undefined ? 0 : body.length;
  // The guards here have let the host pass, by the listener that the request came by, which the other process can't see.
  const fields = { ...headers, host: 'localhost', 'content-length': String(length) };
  return { method, url, headers: fields, remoteAddress, body };
}

function bodyOf({ body }: FastifyRequest, upload: Upload | undefined): ForwardedRequest['body'] {
  if (upload instanceof FileUpload) return { file: basename(upload.path), length: upload.length };
  if (upload) return upload.source as Uint8Array;
  return body === undefined || body === null ? undefined : Buffer.from(JSON.stringify(body));
}

const ofConnections: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'keep-alive',
  'transfer-encoding',
]);

function endToEnd(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !ofConnections.has(name)));
}
