import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import type { Plan } from '../../range/plan.ts';
import type { Region } from '../../region/region.ts';
import type { Grant } from '../../relay/grants.ts';
import { type Engine, SystemError } from '../../relay/relay.ts';
import type { WayOut } from '../read/way-out.ts';
import { exactHead } from './received.ts';
import { type Repeat, repeatOf, responseHead } from './repeat.ts';
import { Repeated } from './repeated.ts';

// DESIGN section 5. The Date of the response is as old as the grant.
const seconds = 1;
const mostAnswers = 1 << 20;

/** A response that may be the pattern for others on its connection. */
export type Pattern = {
  readonly reply: FastifyReply;
  readonly region: Region;
  readonly plan: Plan;
  readonly connection: WayOut;
  /** For bodies that are neither copied because they are short, nor large. */
  readonly usual: Engine;
  readonly large: Engine;
  /** Bytes. */
  readonly largeFrom: number;
};

// What is somebody's own is compared with nobody else's requests: how far they are alike could be found out.
const personal = /\r\n(?:authorization|proxy-authorization|cookie):/i;

/** How lanes answer. */
export type ExpressOptions = {
  /** Bytes: shorter bodies are copied. */
  readonly copyBelow: number;
  /**
   * Whether they answer a request on other connections than the one it was judged on: where nothing but its bytes, and
   * the address that was asked, can change the answer.
   */
  readonly open: boolean;
};

/** Grants connections to their lanes, for requests that repeat themselves (docs/express.md). */
export class Express {
  readonly #options: ExpressOptions;
  readonly #mayTake: () => boolean;
  readonly #repeated = new Repeated();
  #over = false;
  #revoked = 0;

  /** @param mayTake whether references may be taken now: asked before lanes get what they would take them for */
  constructor(options: ExpressOptions, mayTake: () => boolean) {
    this.#options = options;
    this.#mayTake = mayTake;
  }

  /** How often what was judged before is worth nothing any more: tokens were exchanged. */
  get revoked(): number {
    return this.#revoked;
  }

  /** Nothing is granted for what was judged before. */
  revoke(): void {
    this.#revoked++;
  }

  /** Nothing is granted any more. */
  close(): void {
    this.#over = true;
  }

  /**
   * Called when a response has gone out whole: has its connection granted when it has been ended, where it is fit for
   * that.
   *
   * @param head of the response
   * @param revoked as it was when the request was judged
   */
  after(pattern: Pattern, response: ServerResponse, head: string, revoked: number): void {
    const request = pattern.reply.request.raw;
    const repeat = this.#over ? undefined : this.#worthwhile(pattern, exactHead(request));
    const grant = repeat && grantFor(pattern, repeat, this.#options, head);
    if (!grant) return;
    // By then Node has let go of the response, and whatever belongs to it: a grant lasts for much longer. Software that
    // ends responses later than it is told to leaves time for part of a next request to come.
    response.once('finish', () => {
      const isGood = !this.#over && this.#revoked === revoked;
      // The response's own reference may have been the tree's last.
      if (isGood && exactHead(request) !== undefined && this.#isAllowed()) pattern.connection.grant(grant);
    });
  }

  // The answer is out: nobody is left to be told of what the file system refuses.
  #isAllowed(): boolean {
    try {
      return this.#mayTake();
    } catch (error) {
      if (error instanceof SystemError) return false;
      throw error;
    }
  }

  // One connection may ask the same only once, and many do.
  #worthwhile({ connection }: Pattern, head: string | undefined): Repeat | undefined {
    const repeat = head === undefined ? undefined : repeatOf(head);
    const isKnown = this.#options.open && repeat !== undefined && this.#repeated.has(repeat.request);
    return connection.isWorthGranting(isKnown) ? repeat : undefined;
  }
}

function grantFor(pattern: Pattern, repeat: Repeat, options: ExpressOptions, head: string): Grant | undefined {
  const { reply, region, plan, usual, large, largeFrom } = pattern;
  const { request } = reply;
  const { generation, epoch, version } = region.content;
  // Its Last-Modified is that of each message (RFC 9110 8.8.2.1).
  const isAhead = region.lastModified !== undefined && region.lastModified.getTime() > Date.now();
  if (!lanesAnswerBy(usual) || !lanesAnswerBy(large) || isAhead) return undefined;
  const ranged = repeat.rangeAt < repeat.request.length;
  if (ranged !== (plan.contentRange !== undefined)) return undefined;
  const template = responseHead(head, ranged);
  if (template === undefined) return undefined;
  const about = { url: request.url, remoteAddress: request.ip, requestId: request.id };
  const judged = { generation: generation.id, epoch, version };
  const engines = { engine: usual, large, largeFrom };
  const open = options.open && !personal.test(repeat.request);
  return { about, ...judged, ...engines, ...repeat, ...options, open, head: template, seconds, most: mostAnswers };
}

function lanesAnswerBy(engine: Engine): boolean {
  return engine !== 'zerocopy' && engine !== 'stream';
}
