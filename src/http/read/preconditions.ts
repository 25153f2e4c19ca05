import type { IncomingHttpHeaders } from 'node:http';
import { parseHttpDate } from './http-date.ts';

/** What conditional requests are judged by. */
export type Validators = {
  /** An entity-tag with its quotes (RFC 9110 8.8.3). */
  readonly etag: string;
  /** Only its whole seconds count (RFC 9110 8.8.2). Undefined: conditions on a date are ignored (13.1.3, 13.1.4). */
  readonly lastModified: Date | undefined;
  /** Whether this generation was ever changed in place, which makes its date weak for good. */
  readonly writtenInPlace: boolean;
};

/** `not-modified` is answered by 304, `failed` by 412. */
export type PreconditionVerdict = 'proceed' | 'not-modified' | 'failed';

/**
 * Judges the preconditions of a request for a region that exists, in the order of RFC 9110 13.2.2. If-Range is left to
 * `ifRangeHolds`.
 *
 * A date that is no HTTP-date is ignored; an entity-tag list that breaks the grammar holds no tag. Never throws.
 *
 * @param method in capitals, as Node gives it
 */
export function judgePreconditions(
  headers: IncomingHttpHeaders,
  method: string,
  validators: Validators,
): PreconditionVerdict {
  if (!holdsForWriters(headers, validators)) return 'failed';
  const reading = method === 'GET' || method === 'HEAD';
  const noneMatch = fieldValue(headers, 'if-none-match');
  if (noneMatch !== undefined) {
    if (!listMatches(noneMatch, (tag) => matchesWeakly(tag, validators.etag))) return 'proceed';
    return reading ? 'not-modified' : 'failed';
  }
  const { lastModified } = validators;
  const since = reading ? fieldDate(headers, 'if-modified-since') : undefined;
  if (since === undefined || lastModified === undefined) return 'proceed';
  return secondsOf(lastModified) <= secondsOf(since) ? 'not-modified' : 'proceed';
}

/**
 * Tells whether a Range field is to be honoured (RFC 9110 13.1.5).
 *
 * True without If-Range, for the region's strong entity-tag, and for its exact Last-Modified when that date is strong
 * (RFC 9110 8.8.2.2).
 *
 * @param now the Date that the response will carry
 */
export function ifRangeHolds(headers: IncomingHttpHeaders, validators: Validators, now = new Date()): boolean {
  const value = fieldValue(headers, 'if-range');
  if (value === undefined) return true;
  const date = parseHttpDate(value, now);
  if (date === undefined) return matchesStrongly(value, validators.etag);
  if (validators.lastModified === undefined) return false;
  const modified = secondsOf(validators.lastModified);
  // RFC 9110 8.8.2.2: within one second of its last change, content may change again under the same date.
  const strong = !validators.writtenInPlace && secondsOf(now) - modified >= 1;
  return strong && secondsOf(date) === modified;
}

// RFC 9110 13.2.2, steps 1 and 2: If-Match, and only without it If-Unmodified-Since.
function holdsForWriters(headers: IncomingHttpHeaders, validators: Validators): boolean {
  const match = fieldValue(headers, 'if-match');
  if (match !== undefined) return listMatches(match, (tag) => matchesStrongly(tag, validators.etag));
  const since = fieldDate(headers, 'if-unmodified-since');
  if (since === undefined || validators.lastModified === undefined) return true;
  return secondsOf(validators.lastModified) <= secondsOf(since);
}

function listMatches(list: string, matches: (tag: string) => boolean): boolean {
  return list === '*' || parseTagList(list).some(matches);
}

// RFC 9110 8.8.3.2: equal, and neither is weak.
function matchesStrongly(tag: string, current: string): boolean {
  return tag === current && !tag.startsWith('W/');
}

// RFC 9110 8.8.3.2: equal but for the weakness of either.
function matchesWeakly(tag: string, current: string): boolean {
  return opaqueTag(tag) === opaqueTag(current);
}

function opaqueTag(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag;
}

// Reads from left to right, because an opaque-tag may itself hold commas (RFC 9110 8.8.3).
function parseTagList(list: string): string[] {
  const separator = /[ \t]*(?:,[ \t]*)*/y;
  const entityTag = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/y;
  const tags: string[] = [];
  let at = 0;
  while (at < list.length) {
    const between = matchAt(separator, list, at) ?? '';
    at += between.length;
    if (at === list.length) break;
    const tag = matchAt(entityTag, list, at);
    if (tag === undefined || (tags.length > 0 && !between.includes(','))) return [];
    tags.push(tag);
    at += tag.length;
  }
  return tags;
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

function fieldDate(headers: IncomingHttpHeaders, name: string): Date | undefined {
  const value = fieldValue(headers, name);
  return value === undefined ? undefined : parseHttpDate(value);
}

// RFC 9110 5.3: several lines of one field mean the same as one line with commas.
function fieldValue(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

function secondsOf(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}
