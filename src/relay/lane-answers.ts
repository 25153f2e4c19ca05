/** What lanes may answer by themselves (docs/express.md). @module */
import { constants } from 'node:os';
import type { Handle } from './handle.ts';
import type { Publication, PublicationAhead } from './publication.ts';

/** Tells the lanes of a relay what they may answer, and to whom. */
export class LaneAnswers {
  readonly #handle: Handle;
  #isSuspended = false;

  constructor(handle: Handle) {
    this.#handle = handle;
  }

  /** Has lanes answer for a region. Whether they do: not for what was closed meanwhile. */
  publish(publication: Publication): boolean {
    const isPublished = this.#publish(publication) === 0;
    if (isPublished) this.#isSuspended = false;
    return isPublished;
  }

  /**
   * The same for one whose file is not open. Nothing that was published with a generation gives way to it.
   *
   * @returns false when no more are published so
   */
  publishAhead(publication: PublicationAhead): boolean {
    return !this.#handle.isClosed && this.#publish(publication) !== -constants.errno.ENOSPC;
  }

  /** Has lanes answer requests with this Host, which was judged; undoes it by `forgetAllowed`. At most 1,024. */
  allowHost(host: string, anyHost: boolean): void {
    this.#tell(anyHost ? 'anyHost' : 'host', host);
  }

  /** The same with this Authorization, where not everybody's requests are answered. */
  allowReader(authorization: string): void {
    this.#tell('reader', authorization);
  }

  /** Has lanes answer by no host and to nobody, until it is said again. */
  forgetAllowed(): void {
    this.#handle.act('forgetAllowed');
  }

  /** Has lanes answer nothing until something is published again; what is published stays. */
  suspend(): void {
    this.#isSuspended = true;
    this.#handle.act('suspend');
  }

  /** Whether they answer nothing since then. */
  get isSuspended(): boolean {
    return this.#isSuspended;
  }

  /**
   * Whether nobody has pages, and lanes have answered nothing since this was asked before. After `suspend` nobody takes any
   * either, until the caller publishes or holds something.
   */
  isIdle(): boolean {
    return this.#handle.act('isIdle') > 0;
  }

  /** Has lanes answer for nothing until it is published again. */
  withdraw(): void {
    this.#handle.act('withdraw');
  }

  /**
   * The region at this path is changed. Lanes go on with it where it is open, at the version that it is at, and open it no
   * more as it was seen before.
   */
  changed(path: string): void {
    this.#tell('changed', path);
  }

  /** Has lanes answer no more: every connection is Node's, after the response that it is in. */
  handOverAll(): void {
    this.#handle.act('handOverAll');
  }

  #publish(publication: Publication | PublicationAhead): number {
    const { shim, relay, isClosed } = this.#handle;
    return isClosed ? -constants.errno.EBADF : shim.publish(relay, publication);
  }

  #tell(what: 'host' | 'anyHost' | 'reader' | 'changed', text: string): void {
    const { shim, relay, isClosed } = this.#handle;
    if (!isClosed) shim.tell(relay, what, text);
  }
}
