/**
 * What a region may be after its service was killed, and which entity-tags it may have then.
 *
 * Of one region at a time at most one change is under way. It is `pending` from before its request goes out until its
 * answer has come; the service may be killed in between:
 *
 * - Nothing pending: the region is what was acknowledged or seen last (`known`). No acknowledged change is lost.
 * - A change is pending: it is the old or the new state, complete.
 *
 * What is seen after the restart is known from then on. Entity-tags, over all restarts:
 *
 * - One that was seen never stands for other bytes. So where an overwriting change left its mark, the validator moved.
 * - A restart alone changes none: not after a stop, and not after a kill when the region was not changed in place in
 *   that run (what the version was in the end, nobody can know after a kill).
 *
 * @module
 */
import { sha256 } from './regions.ts';

/** All bytes; undefined when there is no such region. */
export type Content = Buffer | undefined;

/** A change that is under way. */
export type Pending =
  | { readonly kind: 'whole'; readonly next: Content }
  /** Resizing: old or new as a whole, but by the same generation. */
  | { readonly kind: 'resized'; readonly next: Buffer }
  /** Of unchanged size. */
  | { readonly kind: 'overwritten'; readonly next: Buffer };

/** What the region is found to be: `etag` is undefined when there is none. */
export type Found = { readonly content: Content; readonly etag: string | undefined };

/** How the last run of the service ended. */
export type Ending = 'stopped' | 'killed';

/** Whether `found` may be what a crash leaves of `known` and a change that was under way. */
export function mayBe(found: Content, known: Content, pending?: Pending): boolean {
  if (isSame(found, known)) return true;
  return pending !== undefined && isSame(found, pending.next);
}

/** One region over many runs of the service. Its methods return what is wrong. */
export class RegionModel {
  readonly name: string;
  #known: Content;
  #etag: string | undefined;
  #pending: Pending | undefined;
  #changedInPlace = false;
  // Entity-tags, and the hash of what they stand for.
  readonly #meanings = new Map<string, string>();

  constructor(name: string) {
    this.name = name;
  }

  /** What it is when nothing is pending. */
  get known(): Content {
    return this.#known;
  }

  /** The entity-tag that goes with it. */
  get etag(): string | undefined {
    return this.#etag;
  }

  /** To be called before the request goes out. */
  begin(pending: Pending): void {
    this.#pending = pending;
    if (pending.kind !== 'whole') this.#changedInPlace = true;
  }

  /** The pending change was acknowledged, with this entity-tag unless it was deleted. */
  acknowledge(etag: string | undefined): string[] {
    if (this.#pending?.kind === 'whole') this.#changedInPlace = false;
    return this.#settle({ content: this.#pending?.next, etag });
  }

  /** What was found while the service still put right what the last run had left: the tag is another one after that. */
  glimpse({ content, etag }: Found): string[] {
    if (!mayBe(content, this.#known, this.#pending)) return [this.#lost(content)];
    return this.#checkMeaning(content, etag);
  }

  /** What was found when the service had put right what the last run had left, before any other change. */
  find(found: Found, ending: Ending): string[] {
    const wrong: string[] = [];
    if (!mayBe(found.content, this.#known, this.#pending)) wrong.push(this.#lost(found.content));
    if (this.#mustKeepTag(found.content, ending) && found.etag !== this.#etag) {
      wrong.push(`${this.name}: ${ending}, and ${this.#etag} became ${found.etag} by the restart`);
    }
    wrong.push(...this.#settle(found));
    this.#changedInPlace = false;
    return wrong;
  }

  // Bytes that are those from before a pending change may be those from after it, too.
  #mustKeepTag(content: Content, ending: Ending): boolean {
    if (!isSame(content, this.#known)) return false;
    if (this.#pending && isSame(this.#known, this.#pending.next)) return false;
    return ending === 'stopped' || !this.#changedInPlace;
  }

  #settle({ content, etag }: Found): string[] {
    this.#known = content;
    this.#etag = etag;
    this.#pending = undefined;
    return this.#checkMeaning(content, etag);
  }

  #checkMeaning(content: Content, etag: string | undefined): string[] {
    if (content === undefined) return [];
    if (etag === undefined) return [`${this.name}: no entity-tag`];
    const hash = sha256(content);
    const meant = this.#meanings.get(etag) ?? hash;
    this.#meanings.set(etag, meant);
    return meant === hash ? [] : [`${this.name}: ${etag} stood for other bytes before`];
  }

  #lost(content: Content): string {
    const size = (bytes: Content) => (bytes === undefined ? 'nothing' : `${bytes.length} bytes`);
    const change = this.#pending ? `${this.#pending.kind}: ${size(this.#pending.next)}` : 'nothing pending';
    return `${this.name}: found ${size(content)}, known ${size(this.#known)}, ${change}`;
  }
}

function isSame(one: Content, other: Content): boolean {
  return one === undefined || other === undefined ? one === other : one.equals(other);
}
