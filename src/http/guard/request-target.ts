import type { IncomingMessage } from 'node:http';
import { escapeByte } from '../../region/name.ts';
import { ProblemError } from '../problem/problems.ts';

/** Bytes that no URI has, but that clients send: they mean the same escaped, and then nobody has to mind them. */
const notOfUris = /[^\x21-\x7e]|["<>\\^`{|}]/g;
const notOfReferences = new RegExp(`${notOfUris.source}|#|%(?![0-9A-Fa-f]{2})`, 'g');

/**
 * The path and query of a request-target; of one in absolute form (RFC 9112 3.2.2) without scheme and authority.
 *
 * @param target bytes beyond ASCII as Node has them, one character each
 * @returns printable ASCII
 */
export function targetPath(target: string, method: string | undefined): string {
  // OPTIONS * asks about the whole server (RFC 9110 9.3.7); to other methods it is nothing, as is no path here.
  if (target === '*') return method === 'OPTIONS' ? '/' : '/*';
  if (target.startsWith('/')) return escaped(target);
  // RFC 9110 4.2.1: an http URI without a host is invalid, and then names nothing here.
  const [, path] = /^https?:\/\/[^/?#:][^/?#]*(.*)$/i.exec(target) ?? [];
  const found = path === undefined || path.startsWith('/') ? (path ?? target) : `/${path}`;
  return escaped(found);
}

// Nearly all have nothing to escape, which is seen in a fraction of the time.
function escaped(path: string): string {
  return path.search(notOfUris) < 0 ? path : path.replace(notOfUris, escapeByte);
}

/**
 * A request's path as a URI reference (RFC 3986 2), for those who are told of it. It may name another resource than the
 * request did where that was malformed.
 */
export function uriReference(path = ''): string {
  return path.replace(notOfReferences, escapeByte);
}

/**
 * What is wrong with the version that a request is written in. One without a version is of HTTP/0.9.
 *
 * @returns an error that closes the connection; undefined when all is well
 */
export function badVersion({ httpVersion }: IncomingMessage): ProblemError | undefined {
  if (httpVersion === '1.1' || httpVersion === '1.0') return undefined;
  const headers = { connection: 'close' };
  if (httpVersion !== '0.9') return new ProblemError('http-version-not-supported', { headers });
  return new ProblemError('bad-request', { detail: 'The request line has no version.', headers });
}

// As many names as fields: nearly all requests are so, and this is the cheapest way to see it.
function saysNothingTwice({ rawHeaders, headers }: IncomingMessage): boolean {
  return rawHeaders.length === 2 * Object.keys(headers).length;
}

/** Fields that say one thing, and of which Node would take the first, or join what they say. */
const singular = new Set(['authorization', 'content-type', 'if-modified-since', 'if-range', 'if-unmodified-since']);

/**
 * What is wrong with a request that says twice what can be said once: others on its way may have taken the other one.
 *
 * @returns a `bad-request` that closes the connection; undefined when all is well
 */
export function repeatedField(request: IncomingMessage): ProblemError | undefined {
  if (saysNothingTwice(request)) return undefined;
  const seen = new Set<string>();
  const { rawHeaders } = request;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? '';
    if (!singular.has(name)) continue;
    if (seen.has(name)) {
      const detail = `${rawHeaders[at]} is there more than once.`;
      return new ProblemError('bad-request', { detail, headers: { connection: 'close' } });
    }
    seen.add(name);
  }
  return undefined;
}

/**
 * What is wrong with a request that has more than one Host, one that is no host, or, in HTTP/1.1, none (RFC 9112 3.2).
 *
 * @returns a `bad-request` that closes the connection; undefined when all is well
 */
export function badHost(request: IncomingMessage): ProblemError | undefined {
  if (saysNothingTwice(request) && request.headers.host && isHost(request.headers.host)) return undefined;
  let hosts = 0;
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at] ?? '';
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++;
  }
  const missing = hosts === 0 && request.httpVersion === '1.1';
  if (!missing && hosts <= 1 && isHost(request.headers.host ?? '')) return undefined;
  const detail = missing ? 'Host is missing.' : hosts > 1 ? 'Host is there more than once.' : 'Host is no host.';
  return new ProblemError('bad-request', { detail, headers: { connection: 'close' } });
}

/**
 * What is wrong with a request whose body has an end that nobody here can find: any transfer coding but `chunked`,
 * and any at all before HTTP/1.1 (RFC 9112 6.1, 6.3). The parser says so itself, but only after the head has been answered.
 *
 * @returns a `bad-request` that closes the connection; undefined when all is well
 */
export function badFraming(request: IncomingMessage): ProblemError | undefined {
  const coding = request.headers['transfer-encoding'];
  if (coding === undefined) return undefined;
  const isKnown = request.httpVersion === '1.1';
  if (isKnown && coding.toLowerCase() === 'chunked') return undefined;
  return new ProblemError('bad-request', {
    detail: isKnown ? 'Transfer-Encoding is not chunked.' : 'Only HTTP/1.1 has Transfer-Encoding.',
    headers: { connection: 'close' },
  });
}

// uri-host [ ":" port ] (RFC 9110 7.2), or empty where the target has no authority.
function isHost(text: string): boolean {
  return /^(?:\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::[0-9]*)?$/.test(text);
}
